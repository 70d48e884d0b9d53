// A sentence token by token, the next token's probabilities through temperature and filters, and a draft's check.
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h } from "./controls/element.js";
import { slider } from "./controls/slider.js";
import { stepper } from "./controls/stepper.js";
import { toggle } from "./controls/toggle.js";
import { tokenStrip } from "./controls/token_strip.js";
import { widget } from "./controls/widget.js";
import { model } from "./token_strip_model.js";
import { drafting, single } from "./token_strip_panels.js";
import { items, rowsOf, sentence, sourceItems } from "./token_strip_words.js";

const [off, two] = [(value) => (value ? String(value) : "off"), (value) => value.toFixed(2)];

export default widget((ui) => {
  const read = model(ui);
  const drafted = Boolean(ui.array("draft"));
  const V = ui.get("vocabulary").length;
  const counts = [0, ...[1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 50, 100].filter((k) => k < V)];
  ui.controls(
    slider(ui, "temperature", { label: "Temperature", min: 0, max: 2, step: 0.05, format: two }),
    slider(ui, "top_p", { label: "Top-p", min: 0.05, max: 1, step: 0.05, format: (p) => (p === 1 ? "off" : two(p)) }),
  );
  ui.more(
    slider(ui, "top_k", { label: "Top-k", values: counts, format: off }),
    slider(ui, "min_p", { label: "Min-p", min: 0, max: 0.5, step: 0.01, format: (p) => (p ? two(p) : "off") }),
    stepper(ui, "seed", { label: "Draw", max: 999 }),
    ...(drafted ? [] : [toggle(ui, "greedy", { label: "Greedy" })]),
  );
  ui.invite(
    drafted
      ? "raise the temperature: the draft and the target part, and more tokens are refused."
      : "raise the temperature: the likely words lose to the rest, until top-p cuts them off.",
  );
  demonstrate(ui, "temperature", () =>
    Array.from({ length: Math.round(20 * ui.get("temperature")) + 1 }, (_, i) => i / 20),
  );
  let looked = 0; // the source token that has the focus
  const source = ui.get("source").length
    ? tokenStrip(ui, {
        label: "Source",
        picked: (s) => {
          looked = s;
          ui.redraw();
        },
      })
    : null;
  const strip = tokenStrip(ui, {
    label: drafted ? "Draft and what the target makes of it" : "Text",
    picked: (t) => t < read().positions && ui.set("position", t),
  });
  const panel = drafted ? drafting(ui) : single(ui);
  const table = dataTable(ui, { caption: "The tokens at this position" });
  if (source)
    ui.add(
      h(
        "div",
        { class: "st-strip-line" },
        h("span", { class: "st-label" }, "Source, and how much this token looks at each"),
        source.element,
      ),
    );
  const says = drafted
    ? "The draft: ✓ accepted, struck through where refused, + what the target adds"
    : "The text, and how likely the model found each token. Choose one.";
  ui.add(
    h("div", { class: "st-strip-line" }, h("span", { class: "st-label" }, says), strip.element),
    panel.element,
    table.element,
  );
  return () => {
    const now = read();
    if (source) source.draw(sourceItems(ui, now), looked);
    strip.draw(items(ui, now), now.position);
    panel.draw(now);
    table.draw(() => rowsOf(now));
    ui.say(sentence(ui, now));
  };
});
