// Two lanes, draft and target: what each pass proposes, the bar that decides each word, and the text that comes out.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { fold } from "studium_widgets/controls/fold.js";
import { lineChart } from "studium_widgets/controls/line_chart.js";
import { memo } from "studium_widgets/controls/memo.js";
import { player } from "studium_widgets/controls/player.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";
import { certain, distance, expected, measured, MISTAKES, mixed, passes } from "./speculation_maths.js";

const MANY = 2000; // passes of which the means are taken
const LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const SIGNS = { kept: "✓", rejected: "✗", unseen: "–", replacement: "↻", bonus: "+" };
const SAID = {
  kept: "kept",
  rejected: "rejected",
  unseen: "not looked at",
  replacement: "replaces it",
  bonus: "one more",
};
const two = (value) => value.toFixed(2);
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

export default widget((ui) => {
  const words = ui.get("words");
  const given = {
    target: Float64Array.from(ui.array("target").data),
    draft: Float64Array.from(ui.array("draft").data),
  };
  const models = memo((agreement, greedy) => {
    const draft = mixed(given, agreement);
    const size = words.length;
    return greedy
      ? { size, target: certain(given.target, size), draft: certain(draft, size) }
      : { size, target: given.target, draft };
  });
  const shown = memo((both, prompt, gamma, seed, mistake) => passes(both, prompt, { gamma, turns: 12, seed, mistake }));
  const many = memo((both, prompt, gamma, seed, mistake) =>
    measured(both, prompt, { gamma, turns: MANY, seed, mistake }),
  );
  const steps = player(ui, "turns", { label: "Passes of the target", ends: () => [1, 12] });
  ui.controls(
    steps.element,
    slider(ui, "agreement", { label: "Agreement of the draft", min: 0, max: 1, step: 0.05, format: two }),
    select(ui, "mistake", {
      label: "Put in a mistake",
      options: Object.entries(MISTAKES).map(([name, [label]]) => [name, label]),
    }),
  );
  ui.more(
    slider(ui, "gamma", { label: "Drafted words in a pass", min: 1, max: 8 }),
    slider(ui, "cost", { label: "Cost of a draft, in target passes", min: 0, max: 0.5, step: 0.01, format: two }),
    stepper(ui, "seed", { label: "Draw", min: 0, max: 99 }),
    toggle(ui, "greedy", { label: "Greedy" }),
  );
  ui.invite(
    "pull the agreement down to 0: more drafted words are rejected, and still the text is the target's own. Then put in a mistake.",
  );
  demonstrate(ui, "turns", steps.all, 5000);
  const line = h("p", { class: "st-spec-text" });
  const key = h(
    "p",
    { class: "st-spec-key" },
    h("span", { class: "st-spec-kept" }, "kept from the draft"),
    " ",
    h("span", { class: "st-spec-replacement" }, "replaced by the target"),
    " ",
    h("span", { class: "st-spec-bonus" }, "one more, the target's own"),
  );
  const lanes = h("div", { class: "st-spec-lanes" });
  const note = h("p", { class: "st-spec-note" });
  const numbers = facts([
    "Words a pass of the target adds",
    "Passes of the target saved",
    "Distance from the target's distribution",
  ]);
  const up = { label: "speed-up" };
  const chart = lineChart(ui, {
    label: "Speed-up over the number of drafted words",
    x: { label: "drafted words in a pass" },
    y: up,
    height: 200,
  });
  const table = dataTable(ui, { caption: "The newest pass, one row a word" });
  const formula = h("p", { class: "st-note" });
  const lengths = fold(ui, "How many words to draft: the speed-up by the formula", [chart.element, formula]);
  ui.add(
    h("div", {}, line, key),
    lanes,
    note,
    h("div", { class: "st-spec-facts" }, numbers.element),
    lengths,
    table.element,
  );
  return () => {
    steps.draw();
    const [prompt, gamma, turns, seed, mistake, cost] = ["prompt", "gamma", "turns", "seed", "mistake", "cost"].map(
      (name) => ui.get(name),
    );
    if (prompt.some((token) => words[token] === undefined))
      throw new Error("a prompt of words that the models know is needed");
    const both = models(ui.get("agreement"), ui.get("greedy"));
    const written = shown(both, prompt, gamma, seed, mistake).slice(0, turns);
    const mean = many(both, prompt, gamma, seed, mistake);
    const [newest, off] = [written[turns - 1], distance(both, mistake)];
    const added = written.reduce((before, { drafted }) => before + keptOf(drafted) + 1, 0);
    line.replaceChildren(...textOf(prompt, written, words));
    lanes.replaceChildren(...columns(newest, words));
    lanes.style.setProperty("--st-spec-columns", gamma + 1);
    put(note, "textContent", MISTAKES[mistake][1]);
    numbers.draw([
      [two(mean.perPass), `mean of ${MANY.toLocaleString("en")} passes`],
      [`${added - turns} of ${added}`, `${added} words in ${turns} ${turns === 1 ? "pass" : "passes"}`],
      [percent(off), off < 5e-4 ? "exact: as if the target had written alone" : "of the words come out otherwise"],
    ]);
    numbers.element.classList.toggle("st-spec-off", off >= 5e-4);
    put(
      formula,
      "textContent",
      `Of the drafts looked at, ${percent(mean.share)} are kept: by the formula a pass of ${gamma} drafts adds ${two(expected(mean.share, gamma))} words.`,
    );
    const y = LENGTHS.map((length) => expected(mean.share, length) / (1 + length * cost));
    up.range = [Math.min(1, ...y), 1.2 * Math.max(1.2, ...y)];
    chart.draw({
      x: LENGTHS,
      series: [{ name: "speed-up by the formula", y }],
      marks: [{ x: gamma, label: `${gamma} drafted` }],
    });
    table.draw(() => rows(newest, words));
    ui.say(sentence(turns, newest, words, off));
  };
});

const keptOf = (drafted) => drafted.filter(({ fate }) => fate === "kept").length;

// The text, each word with a line that says where it came from.
function textOf(prompt, written, words) {
  const given = prompt.map((token) => h("span", {}, words[token]));
  const found = written.flatMap(({ drafted, last }) => [
    ...drafted
      .filter(({ fate }) => fate === "kept")
      .map(({ token }) => h("span", { class: "st-spec-kept" }, words[token])),
    h("span", { class: `st-spec-${last.kind}` }, words[last.token]),
  ]);
  return [...given, ...found].flatMap((span) => [span, " "]);
}

// One column a drafted word: the word, its bar with the needle, and what the target makes of it; then one more word.
function columns({ drafted, last }, words) {
  const each = drafted.map((one) => {
    const below =
      one.fate === "rejected"
        ? [`${SIGNS.rejected} → `, h("b", {}, words[last.token])]
        : [`${SIGNS[one.fate]} `, one.fate === "kept" ? words[one.token] : "…"];
    return column(one.fate, words[one.token], meter(one), below, one.fate === "rejected" ? "replaced" : SAID[one.fate]);
  });
  const more =
    last.kind === "bonus"
      ? column(
          "bonus",
          "",
          h("div", { class: "st-spec-free" }, "all kept: the target adds a word"),
          [`${SIGNS.bonus} `, h("b", {}, words[last.token])],
          SAID.bonus,
        )
      : column("unseen", "", h("div", { class: "st-spec-free" }), [], "");
  const head = h(
    "div",
    { class: "st-spec-column st-spec-head" },
    h("span", {}, "draft"),
    h("span", {}, "kept if the needle falls in the bar"),
    h("span", {}, "target"),
  );
  return [head, ...each, more];
}

function column(fate, word, middle, below, said) {
  return h(
    "div",
    { class: `st-spec-column st-spec-${fate}` },
    h("span", { class: "st-spec-word" }, word),
    middle,
    h("span", { class: "st-spec-out" }, ...below),
    h("small", {}, said),
  );
}

function meter({ bar, needle, fate }) {
  const fill = h("i", {});
  fill.style.height = `${100 * bar}%`;
  const mark = h("b", {});
  mark.style.bottom = `${100 * needle}%`;
  const box = h("div", { class: "st-spec-meter" }, fill, ...(fate === "unseen" ? [] : [mark]));
  return h(
    "div",
    { class: "st-spec-judged" },
    box,
    h("small", {}, `bar ${percent(bar)}`),
    h("small", {}, fate === "unseen" ? "no needle" : `needle ${percent(needle)}`),
  );
}

function rows({ drafted, last }, words) {
  const each = drafted.map(({ token, p, q, bar, needle, fate }, i) => [
    i + 1,
    words[token],
    two(q),
    two(p),
    two(bar),
    fate === "unseen" ? "" : two(needle),
    SAID[fate],
  ]);
  return {
    columns: ["word", "drafted", "draft's q", "target's p", "bar", "needle", "fate"],
    rows: [...each, [keptOf(drafted) + 1, words[last.token], "", "", "", "", SAID[last.kind]]],
  };
}

function sentence(turns, { drafted, last }, words, off) {
  const judged = drafted.filter(({ fate }) => fate !== "unseen");
  const { bar, needle } = judged[judged.length - 1];
  const end =
    last.kind === "bonus"
      ? `all are kept, and “${words[last.token]}” is one more`
      : `a needle at ${percent(needle)} is above a bar of ${percent(bar)}, and “${words[last.token]}” replaces the word`;
  return `Pass ${turns}: ${keptOf(drafted)} of ${drafted.length} drafted words are kept; ${end}. Distance from the target's distribution: ${percent(off)}.`;
}
