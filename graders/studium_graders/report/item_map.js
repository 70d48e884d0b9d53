// The items of a test: how many solve each, and whether those are the ones who solve the others.
import { bars } from "studium_widgets/controls/bars.js";
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h } from "studium_widgets/controls/element.js";
import { legend } from "studium_widgets/controls/legend.js";
import { MARKS } from "studium_widgets/controls/markers.js";
import { scatter } from "studium_widgets/controls/scatter.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";

const KINDS = [
  ["good", "no objection"],
  ["bad", "does not separate strong from weak"],
  ["negative", "failed by better students"],
  ["easy", "too easy or too hard to say"],
  ["weak", "uncertain"],
];
const KIND = { good: 0, bad: 1, negative: 2, easy: 3, hard: 3, weak: 4, few: 4 };
const GOOD = 0.3; // the discrimination at which the dashed line stands

const percent = (value) => `${Math.round(100 * value)} %`;
const number = (value) => (value == null ? "–" : value.toFixed(2).replace("-", "−"));
const within = (low, high, format) => (low == null ? "" : ` (${format(low)} to ${format(high)})`);

export default widget((ui) => {
  ui.controls(
    choice(ui, "level", {
      label: "Show",
      options: [
        ["tests", "Tests"],
        ["exercises", "Exercises"],
      ],
    }),
    toggle(ui, "hide_good", { label: "Only those to look at" }),
  );
  ui.invite("show only those to look at, and point at one: which tests do good students fail?");
  const key = legend(ui);
  let placed = [];
  const pick = (index) => ui.set("chosen", ui.get("chosen") === placed[index].name ? "" : placed[index].name);
  const plane = scatter(ui, {
    label: "Items: arrows go from one to the next, Enter keeps its figures",
    moved: () => ui.redraw(),
    picked: pick,
  });
  const details = h("dl", { class: "st-items-details" });
  const mistakes = bars(ui, { label: "Mistakes among those who fail it" });
  const below = h("div", { class: "st-items-mistakes" }, h("p", {}, "What those who fail it did:"), mistakes.element);
  const table = dataTable(ui, { caption: "The items that are shown" });
  ui.add(key.element, h("div", { class: "st-items-plane" }, plane.element), details, below, table.element);
  return () => {
    const items = shown(ui);
    placed = items.filter((item) => item.discrimination != null).sort((a, b) => a.solved - b.solved);
    key.draw(KINDS.map(([, name], i) => ({ name, mark: MARKS[i] })));
    plane.draw(contentOf(placed, ui.get("chosen")));
    const item = placed[plane.cursor.cell?.[1] ?? -1] ?? items.find(({ name }) => name === ui.get("chosen"));
    describe(details, item);
    below.hidden = !item?.mistakes.length;
    if (item)
      mistakes.draw(
        item.mistakes.map(([name, value]) => ({ name, value })),
        Math.max(...item.mistakes.map(([, value]) => value), 1),
      );
    table.draw(() => rowsOf(items));
    ui.say(sentence(items, placed, item));
  };
});

const shown = (ui) => ui.get(ui.get("level")).filter(({ verdict }) => !(ui.get("hide_good") && verdict === "good"));

function contentOf(items, chosen) {
  const points = items.map(({ name, solved, discrimination, verdict }) => ({
    name,
    x: solved,
    y: discrimination,
    kind: KIND[verdict],
    radius: 6,
  }));
  const low = Math.min(-0.15, ...points.map(({ y }) => y - 0.08));
  const high = Math.max(0.7, ...points.map(({ y }) => y + 0.08));
  const line = [0, 1].map((x) => ({ x, y: GOOD }));
  return {
    points,
    x: { label: "share with full points", range: [-0.03, 1.03] },
    y: { label: "discrimination", range: [low, high] },
    path: line,
    chosen,
  };
}

function facts(item) {
  return [
    ["item", item.name],
    ["full points", `${percent(item.solved)}${within(item.solved_low, item.solved_high, percent)} of ${item.count}`],
    ["discrimination", `${number(item.discrimination)}${within(item.low, item.high, number)}`],
    ["upper less lower 27 %", number(item.upper_lower)],
    ["alpha without it", number(item.alpha_without)],
    ["points", String(item.points)],
    ["", item.words],
  ];
}

function describe(element, item) {
  element.hidden = !item;
  element.replaceChildren(
    ...(item ? facts(item) : []).map(([name, value]) =>
      h("div", {}, h("dt", {}, name || "verdict"), h("dd", {}, value)),
    ),
  );
}

function sentence(items, placed, item) {
  if (item)
    return `${item.name}: ${percent(item.solved)} have full points, discrimination ${number(item.discrimination)}; ${item.words}.`;
  const flagged = items.filter(({ verdict }) => ["bad", "negative"].includes(verdict));
  const flat = items.length - placed.length;
  const rest = flat ? ` ${flat} more are in the table alone: everybody has the same marks there.` : "";
  const names = flagged
    .slice(0, 3)
    .map(({ name }) => name)
    .join(", ");
  return `${placed.length} items; ${flagged.length ? `look at ${names}${flagged.length > 3 ? ` and ${flagged.length - 3} more` : ""}` : "none is flagged"}.${rest}`;
}

function rowsOf(items) {
  const columns = [
    "item",
    "full points",
    "discrimination",
    "upper less lower 27 %",
    "alpha without it",
    "points",
    "verdict",
  ];
  const row = (item) => facts(item).map(([, value]) => value);
  return { columns, rows: items.map(row) };
}
