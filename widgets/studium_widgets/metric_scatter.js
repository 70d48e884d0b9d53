// Models in a plane of two of their figures, with filters, details, and the front that none beats.
import { written } from "./controls/axes.js";
import { dataTable } from "./controls/data_table.js";
import { h, suppress } from "./controls/element.js";
import { legend } from "./controls/legend.js";
import { MARKS } from "./controls/markers.js";
import { scatter } from "./controls/scatter.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { extent } from "./controls/ticks.js";
import { toggle } from "./controls/toggle.js";
import { widget } from "./controls/widget.js";
import { distinct, front, isNumber, passing, stairs, stops } from "./metric_scatter_maths.js";

const [SMALL, LARGE] = [7, 16]; // px: radius of a point with no size, and of the largest
const shown = (value, label = "") =>
  isNumber(value) ? written({ label }, Number(value.toPrecision(6))) : value == null ? "–" : String(value);

export default widget((ui) => {
  const name = (field) => ui.get("labels")[field] ?? field;
  const chips = ui.get("filters").map((field) => filter(ui, field, name(field)));
  const { first, rest } = controls(ui, name);
  ui.controls(...first);
  ui.more(...rest, ...chips.map((part) => part.element));
  ui.invite("ask for another figure upwards. No other model beats those on the line in both.");
  const key = legend(ui);
  let visible = [];
  const pick = (index) => ui.set("chosen", ui.get("chosen") === visible[index].name ? "" : visible[index].name);
  const plane = scatter(ui, {
    label: "Models: arrows go from one to the next, Enter keeps its details",
    moved: () => ui.redraw(),
    picked: pick,
  });
  const large = ui.get("size") ? [h("p", { class: "st-note" }, sizes(ui, name(ui.get("size"))))] : [];
  const details = h("dl", { class: "st-details" });
  const table = dataTable(ui, { caption: "The points that are shown" });
  ui.add(key.element, h("div", { class: "st-plane" }, plane.element), ...large, details, table.element);
  return () => {
    const now = look(ui);
    visible = now.visible;
    const line =
      now.best.length > 1 ? [{ name: "front: no other beats these", stroke: ui.theme.accent, dash: [5, 4] }] : [];
    key.draw([...now.kinds.map((kind, i) => ({ name: kind, mark: MARKS[i] })), ...line]);
    plane.draw(contentOf(ui, now, name));
    chips.forEach((part) => part.draw());
    const pointed = visible[plane.cursor.cell?.[1] ?? -1];
    describe(details, pointed ?? ui.get("points").find((point) => point.name === ui.get("chosen")), name);
    table.draw(() => rowsOf(now, name));
    ui.say(sentence(ui, now, pointed, name));
  };
});

// What the area of a mark says, by its largest.
function sizes(ui, label) {
  const [top] = ui
    .get("points")
    .filter((point) => isNumber(point[ui.get("size")]))
    .sort((a, b) => b[ui.get("size")] - a[ui.get("size")]);
  return `The area of a mark: ${label}, up to the ${shown(top[ui.get("size")])} of ${top.name}.`;
}

const numbers = (ui) => {
  const fields = [...new Set(ui.get("points").flatMap(Object.keys))];
  return fields.filter((field) => ui.get("points").every((point) => point[field] == null || isNumber(point[field])));
};

function controls(ui, name) {
  const fields = ui.get("axes").length ? ui.get("axes") : numbers(ui);
  const options = fields.map((field) => [field, name(field)]);
  const positive = (field) => ui.get("points").every((point) => !isNumber(point[field]) || point[field] > 0);
  const log = fields.every(positive)
    ? ["x", "y"].map((axis) => toggle(ui, `log_${axis}`, { label: `Log ${axis}` }))
    : [];
  const [across, up] = ["x", "y"].map((axis) => select(ui, axis, { label: axis === "x" ? "Across" : "Up", options }));
  const limits = Object.keys(ui.get("limits")).map((field) => limit(ui, field, name(field)));
  return { first: [up, toggle(ui, "front", { label: "Front" })], rest: [across, ...log, ...limits] };
}

// A slider over the values of one field: what lies above is left out.
function limit(ui, field, label) {
  const values = stops(
    ui
      .get("points")
      .map((point) => point[field])
      .filter(isNumber),
  );
  const own = {
    ...ui,
    get: () => ui.get("limits")[field],
    set: (_, value) => ui.set("limits", { ...ui.get("limits"), [field]: value }),
  };
  return slider(own, "limits", { label: `Up to ${label}`, values, format: (value) => shown(value, label) });
}

// One switch for each value of a field of text.
function filter(ui, field, label) {
  const off = () => ui.get("hidden")[field] ?? [];
  const part = (value) => {
    const input = h("input", { type: "checkbox", ...suppress });
    const flip = () =>
      ui.set("hidden", {
        ...ui.get("hidden"),
        [field]: input.checked ? off().filter((one) => one !== value) : [...off(), value],
      });
    input.addEventListener("change", flip, { signal: ui.signal });
    return { value, input, element: h("label", {}, input, h("span", {}, value || "none")) };
  };
  const parts = distinct(ui.get("points"), field).map(part);
  const group = h(
    "span",
    { class: "st-chips", role: "group", "aria-label": label },
    ...parts.map(({ element }) => element),
  );
  const element = h(
    "div",
    { class: "st-control" },
    h("span", { class: "st-label", "aria-hidden": "true" }, label),
    group,
  );
  const draw = () => parts.forEach(({ value, input }) => (input.checked = !off().includes(value)));
  return { element, draw };
}

function look(ui) {
  const [points, x, y, lower] = ["points", "x", "y", "lower"].map(ui.get);
  const kinds = distinct(points, ui.get("colour"));
  const visible = passing(points, { x, y, hidden: ui.get("hidden"), limits: ui.get("limits") }).sort(
    (a, b) => a[x] - b[x],
  );
  const better = { x: lower.includes(x), y: lower.includes(y) };
  const best = ui.get("front") ? front(visible, { x, y, lower: better }) : [];
  return { points, x, y, kinds, visible, best, better };
}

function contentOf(ui, { points, x, y, kinds, visible, best, better }, name) {
  const most = Math.max(...points.map((point) => point[ui.get("size")]).filter(isNumber), 0);
  const radius = (value) =>
    most && isNumber(value) ? Math.max(5, LARGE * Math.sqrt(Math.max(0, value) / most)) : SMALL;
  const place = (point) => ({
    name: point.name,
    x: point[x],
    y: point[y],
    kind: kinds.indexOf(String(point[ui.get("colour")] ?? "")),
    radius: radius(point[ui.get("size")]),
    faint: best.length > 1 && !best.includes(point),
  });
  const axis = (field, log, more = "") => ({ label: name(field) + more, log, range: range(points, field, log) });
  const path = best.length > 1 ? stairs(best.map(place), better.x) : null;
  const up = axis(y, ui.get("log_y"), better.y ? ", lower is better" : ", higher is better");
  return { points: visible.map(place), x: axis(x, ui.get("log_x")), y: up, path, chosen: ui.get("chosen") };
}

// All points set the axes, so that nothing jumps while one filters.
function range(points, field, log) {
  const [low, high] = extent([points.map((point) => point[field]).filter(isNumber)]);
  if (log) return [low / 1.35, high * 1.35];
  const margin = 0.08 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}

function describe(element, point, name) {
  const entries = Object.entries(point ?? {}).filter(([, value]) => value != null);
  element.replaceChildren(
    ...entries.map(([field, value]) => h("div", {}, h("dt", {}, name(field)), h("dd", {}, shown(value, name(field))))),
  );
  element.hidden = entries.length === 0;
}

function sentence(ui, { points, x, y, visible, best }, pointed, name) {
  if (pointed)
    return `${pointed.name}: ${name(x)} ${shown(pointed[x], name(x))}, ${name(y)} ${shown(pointed[y], name(y))}, ${shown(pointed[ui.get("colour")])}.`;
  if (!visible.length) return `No point of ${points.length} passes the filters.`;
  const lowest = ui.get("lower").includes(y);
  const top = visible.reduce((one, other) => ((lowest ? other[y] < one[y] : other[y] > one[y]) ? other : one));
  const names = best.slice(0, 6).map((point) => point.name);
  const more = best.length > 6 ? ` and ${best.length - 6} more` : "";
  const line = best.length ? ` On the front: ${names.join(", ")}${more}.` : "";
  return `${visible.length} of ${points.length} are shown; ${lowest ? "lowest" : "highest"} ${name(y)}: ${top.name}, ${shown(top[y], name(y))}.${line}`;
}

function rowsOf({ points, visible }, name) {
  const fields = [...new Set(points.flatMap(Object.keys))];
  const order = ["name", ...fields.filter((field) => field !== "name")];
  return { columns: order, rows: visible.map((point) => order.map((field) => shown(point[field], name(field)))) };
}
