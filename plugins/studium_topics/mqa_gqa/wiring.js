// Query heads above, shared heads below, and the wires between them; the error of each head's result beside it.
import { bars } from "studium_widgets/controls/bars.js";
import { canvas } from "studium_widgets/controls/canvas.js";
import { cellCursor } from "studium_widgets/controls/cell_cursor.js";
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { memo } from "studium_widgets/controls/memo.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { divisors, errors, merged, results, sharedBy } from "./wiring_maths.js";

const HEIGHT = 268;
const [TOP, BOTTOM, CACHE] = [56, 176, 246]; // px: of the dots, and of the cache
const ORDERS = [["grouped", "None: head h looks at h // (H / G)"], ["tiled", "Head h looks at h % G, as repeat does"]];
const WAYS = [["mean", "Mean of the group"], ["first", "Its first head"]];

export default widget((ui) => {
  const { look, ahead } = source(ui);
  let shown = null;
  const [heads] = ui.array("query").shape;
  const whole = { ...ui, get: (name) => (name === "groups" ? ui.get(name) || heads : ui.get(name)) };
  ui.controls(
    slider(whole, "groups", { label: "Shared heads G", values: divisors(heads), format: (groups) => `${groups}${groups === 1 ? " (MQA)" : groups === heads ? " (MHA)" : ""}` }),
    select(ui, "order", { label: "Put in a mistake", options: ORDERS }),
  );
  ui.more(choice(ui, "merge", { label: "A shared head is", options: WAYS }));
  ui.invite("lower G: query heads share fewer keys and values, the cache shrinks, and each head's result moves away from its own.");
  demonstrate(ui, "groups", () => [...divisors(heads)].reverse());
  const wires = wiring(ui, () => ui.redraw());
  const tiles = facts(["KV cache", "Operations a byte", "Mean error"]);
  const list = bars(ui, { label: "Error of each query head", format: percent });
  const table = dataTable(ui, { caption: "Query heads" });
  const note = h("p", { class: "st-note" }, "How far each head's result is from what it would be with keys and values of its own. Where a wire goes astray, a stroke marks the error with the right one.");
  ui.add(h("div", { class: "st-wiring" }, wires.element), tiles.element, note, list.element, table.element);
  return () => {
    const now = look();
    wires.draw(now);
    tiles.draw(tilesOf(now));
    list.draw(barsOf(now), Math.max(1, ...now.error, ...now.right));
    table.draw(() => rowsOf(now));
    ui.say(sentence(now, wires.chosen()));
    if (now !== shown || ahead()) ui.redraw();
    shown = now;
  };
});

// Everything that is shown, computed again only where what it needs has changed; `ahead()` computes what another setting will need.
function source(ui) {
  const all = memo((query, keys, values) => everySetting(query, keys.data, values.data, keys.shape[1]));
  const found = memo(({ heads, errorsOf }, groups, order, way) => {
    if (heads % groups) throw new Error(`groups that divide the ${heads} heads are needed, got ${groups}`);
    return { heads, groups, order, way, error: errorsOf(groups, order, way), right: errorsOf(groups, "grouped", way) };
  });
  const settings = () => all(...["query", "key", "value"].map(ui.array));
  const look = () => found(settings(), ui.get("groups") || settings().heads, ui.get("order"), ui.get("merge"));
  return { look, ahead: () => settings().another() };
}

// `errorsOf(groups, order, way)`: of each head; computed once, `another()` does so for one setting more and says whether any was left.
function everySetting(query, keys, values, tokens) {
  const [heads, size] = query.shape;
  const model = { query: query.data, heads, size, tokens };
  const truth = results(model, keys, values, heads, "grouped");
  const left = WAYS.flatMap(([way]) => ORDERS.flatMap(([order]) => divisors(heads).map((groups) => [groups, order, way])));
  const known = {};
  const errorsOf = (groups, order, way) => {
    const shared = (data) => merged(data, heads, groups, way);
    return (known[[groups, order, way]] ??= errors(results(model, shared(keys), shared(values), groups, order), truth, heads));
  };
  const another = () => {
    const setting = left.shift();
    if (setting) errorsOf(...setting);
    return Boolean(setting);
  };
  return { heads, errorsOf, another };
}

const astray = ({ heads, groups, order }, head) => sharedBy(head, heads, groups, order) !== sharedBy(head, heads, groups, "grouped");
const percent = (share) => `${Math.round(100 * share)} %`;
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

// The picture: left and right go from query head to query head.
function wiring(ui, moved) {
  const { element, fit } = canvas("Wires from query heads to shared heads: arrows go from head to head");
  const view = { element, now: null, width: 0 };
  const compose = () => view.now && drawAll(ui, view, fit(view.width, HEIGHT));
  view.cursor = cellCursor(ui, element, {
    at: (x) => view.now && [0, Math.min(view.now.heads - 1, Math.max(0, Math.floor((x / view.width) * view.now.heads)))],
    size: () => [1, view.now.heads],
    moved: () => (compose(), moved()),
  });
  view.chosen = () => view.cursor.cell?.[1] ?? -1;
  view.draw = (now) => {
    Object.assign(view, { now, width: Math.max(220, ui.widthOf(element.parentElement) || 480) });
    compose();
  };
  return view;
}

function drawAll(ui, view, context) {
  const { now, width } = view;
  const { theme } = ui;
  const chosen = view.chosen();
  const at = (number, count) => ((number + 0.5) * width) / count;
  const radius = Math.min(9, (0.32 * width) / now.heads);
  context.textAlign = "center";
  for (let head = 0; head < now.heads; head++) {
    const [x, wrong] = [at(head, now.heads), astray(now, head)];
    const g = sharedBy(head, now.heads, now.groups, now.order);
    const colour = wrong ? theme.warm : theme.accent;
    wire(context, x, at(g, now.groups), colour, wrong, head === chosen);
    dot(context, x, TOP, radius, colour, false);
    if (now.heads <= 16 || head === chosen) label(context, theme, `q${head}`, x, TOP - radius - 10, head === chosen);
  }
  for (let g = 0; g < now.groups; g++) {
    dot(context, at(g, now.groups), BOTTOM, radius, theme.accent, true);
    if (now.groups <= 16) label(context, theme, `kv${g}`, at(g, now.groups), BOTTOM + radius + 12, false);
  }
  drawCache(context, theme, now, width);
  captions(context, theme, now);
}

// The cache of the multi-head model, as wide as all its heads, and the part of it that is left.
function drawCache(context, theme, { heads, groups }, width) {
  for (let head = 0; head < heads; head++) {
    const place = [head * (width / heads) + 2, CACHE, width / heads - 4, 16];
    context.fillStyle = head < groups ? theme.accent : theme.raised;
    context.fillRect(...place);
    context.strokeStyle = head < groups ? theme.accent : theme.line;
    context.lineWidth = 1;
    context.strokeRect(...place);
  }
}

function captions(context, theme, { heads, groups }) {
  context.textAlign = "left";
  label(context, theme, `${heads} query heads`, 2, 10, false);
  const cache = groups === heads ? "the whole cache" : `${Math.round((100 * groups) / heads)} % of the cache`;
  label(context, theme, `${groups === 1 ? "1 head" : `${groups} heads`} of keys and values: ${cache}`, 2, CACHE - 14, true);
}

function wire(context, from, to, colour, wrong, bold) {
  context.strokeStyle = colour;
  context.lineWidth = bold ? 4 : 1.8;
  context.setLineDash(wrong ? [5, 4] : []);
  context.beginPath();
  context.moveTo(from, TOP);
  context.bezierCurveTo(from, (TOP + BOTTOM) / 2, to, (TOP + BOTTOM) / 2, to, BOTTOM);
  context.stroke();
  context.setLineDash([]);
}

function dot(context, x, y, radius, colour, square) {
  context.fillStyle = colour;
  context.beginPath();
  if (square) context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  else context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function label(context, theme, text, x, y, bold) {
  context.font = `${bold ? "600 " : ""}12px ${theme.font}`;
  context.fillStyle = bold ? theme.text : theme.muted;
  context.textBaseline = "middle";
  context.fillText(text, x, y);
}

function tilesOf({ heads, groups, order, error, right }) {
  const ratio = heads / groups;
  const against = order === "grouped" ? "of a head's result, against its own" : `without the mistake ${percent(mean(right))}`;
  return [
    [ratio === 1 ? "all of it" : `1 / ${ratio}`, `${groups} of ${heads} heads of keys and values`],
    [String(ratio), "decoding in bfloat16, long context"],
    [percent(mean(error)), against],
  ];
}

function barsOf(now) {
  return now.error.map((value, head) => {
    const wrong = astray(now, head);
    return { name: `q${head}`, value, kind: wrong ? "wrong" : "chosen", mark: wrong ? now.right[head] : undefined };
  });
}

function sentence(now, chosen) {
  const { heads, groups, order, error, right } = now;
  if (chosen >= 0 && chosen < heads) {
    const g = sharedBy(chosen, heads, groups, order);
    const wrong = astray(now, chosen) ? `, but should look at kv${sharedBy(chosen, heads, groups, "grouped")}` : "";
    return `Query head ${chosen} looks at kv${g}${wrong}; its error is ${percent(error[chosen])}.`;
  }
  const count = error.filter((_, head) => astray(now, head)).length;
  const cache = `${heads} query heads share ${groups} heads of keys and values, ${((100 * groups) / heads).toFixed(0)} % of the cache`;
  if (order === "tiled" && !count) return `${cache}; both orders are the same here, and the mistake does not show.`;
  if (count) return `${cache}; ${count} wires go astray: mean error ${percent(mean(error))} in place of ${percent(mean(right))}.`;
  return `${cache}; mean error ${percent(mean(error))}.`;
}

function rowsOf(now) {
  const rows = now.error.map((value, head) => {
    const [own, right] = [now.order, "grouped"].map((order) => sharedBy(head, now.heads, now.groups, order));
    return [`q${head}`, `kv${own}`, `kv${right}`, percent(value), percent(now.right[head])];
  });
  return { columns: ["query head", "looks at", "should look at", "error", "error if right"], rows };
}
