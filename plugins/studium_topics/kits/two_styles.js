// A text by a small model, and by the same model with a share of a low-rank adapter added to its weights.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h, put } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { memo } from "studium_widgets/controls/memo.js";
import { player } from "studium_widgets/controls/player.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { choices, given, growing, temperature, worded } from "./growing.js";
import { modelOf, paper } from "./paper.js";
import { unpack } from "./packing.js";
import { merged } from "./tiny_lm.js";

export default widget((ui) => {
  const play = player(ui, "written", { label: "Characters", ends: () => [0, ui.get("length")], duration: 12000 });
  ui.controls(
    slider(ui, "share", {
      label: "Scale of the adapter",
      min: 0,
      max: 1,
      step: 0.05,
      format: (value) => value.toFixed(2),
    }),
    play.element,
  );
  ui.more(temperature(ui), ...choices(ui));
  ui.invite("move the scale down to 0 and up again. Where do recipes become tales, and what does it write in between?");
  const sheets = ["The base", "The base with the adapter"].map(paper);
  const title = h("h4", {});
  const parts = [h("h4", {}, "The base model alone"), title].map((head, i) =>
    h("div", { class: "st-part" }, head, sheets[i].element),
  );
  const tiles = facts(["Numbers of the base", "Numbers of the adapter", "Characters until the texts part"]);
  const table = dataTable(ui, { caption: "The adapter beside the base" });
  ui.add(h("div", { class: "st-sheets" }, ...parts), tiles.element, table.element);
  const text = both(ui, parts[0]);
  return () => {
    play.draw();
    const now = text();
    put(title, "textContent", `The base model with ${now.share.toFixed(2)} of the adapter`);
    sheets.forEach((sheet, i) =>
      sheet.draw(given(ui), now.texts[i], {
        from: i && now.parts ? now.parts : undefined,
        kind: "other",
        writes: !now.arrived,
        room: ui.get("length"),
      }),
    );
    tiles.draw([
      [now.base.toLocaleString("en"), "frozen, and shared by all adapters"],
      [
        now.adapter.toLocaleString("en"),
        `rank ${ui.get("rank")}: ${((100 * now.adapter) / now.base).toFixed(1)} % of the base`,
      ],
      [String(now.parts), now.parts < now.shown ? "with the same draws" : "of these, so they are the same"],
    ]);
    table.draw(() => rowsOf(ui, now));
    ui.say(sentence(now));
  };
});

// What both write, and the first character in which they differ.
function both(ui, element) {
  const base = modelOf(ui);
  const factors = unpack(ui.get("adapter_tensors"), ui.array("adapter_weights").data, ui.array("adapter_scales").data);
  const adapted = memo((share) => merged(base, factors, (share * ui.get("alpha")) / ui.get("rank")));
  const grown = growing(ui, element, 2);
  const sizes = { base: ui.array("weights").data.length, adapter: ui.array("adapter_weights").data.length };
  return () => {
    const share = ui.get("share");
    const { pens, shown, arrived } = grown([base, adapted(share)]);
    const texts = pens.map((pen) => worded(ui, pen.written.slice(0, shown)));
    let parts = 0;
    while (parts < shown && texts[0][parts] === texts[1][parts]) parts += 1;
    return { ...sizes, share, shown, arrived, texts, parts };
  };
}

function rowsOf(ui, { base, adapter, share, parts, shown }) {
  const rows = [
    ["numbers of the base", base],
    ["numbers of the adapter", adapter],
    ["rank", ui.get("rank")],
    ["alpha", ui.get("alpha")],
    ["scale", share.toFixed(2)],
    ["characters written", shown],
    ["the same at the beginning", parts],
  ];
  return { columns: ["what", "how much"], rows: rows.map(([what, value]) => [what, value.toLocaleString("en")]) };
}

function sentence({ arrived, share, parts, shown }) {
  if (!arrived) return `Both are writing, with a scale of ${share.toFixed(2)}.`;
  if (parts === shown) return `With a scale of ${share.toFixed(2)} both texts are the same, for ${shown} characters.`;
  return `With a scale of ${share.toFixed(2)} the first ${parts} of ${shown} characters are the same.`;
}
