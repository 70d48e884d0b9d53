// Your array beside the reference: where they differ, by how much, and what one thing may explain it.
import { choice } from "./controls/choice.js";
import { dataTable } from "./controls/data_table.js";
import { h, suppress } from "./controls/element.js";
import { matrices } from "./controls/matrix.js";
import { stepper } from "./controls/stepper.js";
import { extent } from "./controls/ticks.js";
import { widget } from "./controls/widget.js";
import { compare, count, layout, mismatches, oddities, pattern, place, slice } from "./tensor_difference_maths.js";
import { factList, number, sentence, tableRows } from "./tensor_difference_words.js";

const SHOW = [
  ["difference", "Difference"],
  ["wrong", "Where wrong"],
];

export default widget((ui) => {
  const look = source(ui);
  const facts = h("ul", { class: "st-remarks" });
  const pictures = matrices(ui, {
    titles: ["Yours", "Reference", "Yours − reference"],
    signs: ["−", "="],
    key: "value",
  });
  const table = dataTable(ui, { caption: "Values of this slice that differ" });
  controls(ui, look, pictures.go);
  ui.add(facts, pictures.element, table.element);
  return () => {
    const now = look();
    facts.replaceChildren(
      ...factList(now).map(({ text, wrong }) => h("li", { class: wrong ? "st-wrong" : false }, text)),
    );
    const shown = now.same ? threeMaps(ui, now) : twoMaps(now);
    const palette = shown[1].palette;
    const [from, to] = ends(shown[1].range, now.actual.data);
    pictures.draw(shown, { from, to, palette });
    table.draw(() => tableRows(now));
    ui.say(sentence(ui, now, pictures.cell()));
  };
});

// What can be said of the two arrays, computed again only when they or the tolerances change.
function source(ui) {
  let last = { key: [] };
  return () => {
    const key = [ui.array("actual"), ui.array("expected"), ui.get("rtol"), ui.get("atol")];
    if (!key.every((part, i) => part === last.key[i])) last = { key, ...describe(...key) };
    const { shape } = last.actual;
    const index = ui.get("index").length || shape.length < 3 ? ui.get("index") : Array(shape.length - 2).fill(0);
    return Object.assign(last, { index, dtypes: ui.get("dtypes"), origin: ui.get("origin"), shapes: ui.get("shapes") });
  };
}

function describe(actual, expected, rtol, atol) {
  const same = String(actual.shape) === String(expected.shape);
  const shared = { actual, expected, same, rtol, atol, why: pattern(actual, expected, rtol, atol) };
  const odd = [actual, expected].map(({ data }) => oddities(data));
  return {
    ...shared,
    odd,
    ...(same ? compare(actual.data, expected.data, rtol, atol) : { axes: mismatches(actual.shape, expected.shape) }),
  };
}

function controls(ui, look, go) {
  const {
    same,
    actual: { shape },
    bad,
  } = look();
  if (!same) return;
  let at = -1;
  const onwards = () => {
    const { next: found, cell } = following(ui, look(), at);
    at = found;
    go(cell);
  };
  const steppers = shape
    .slice(0, -2)
    .map((size, axis) => stepper(entry(ui, axis), "index", { label: `Axis ${axis}`, max: size - 1 }));
  const next = h("button", { type: "button", class: "st-button", ...suppress }, "Next wrong value");
  next.addEventListener("click", onwards, { signal: ui.signal });
  ui.controls(...(bad ? [next] : []));
  ui.more(...steppers, choice(ui, "show", { label: "Third map", options: SHOW }));
  ui.invite(
    bad
      ? "go from one wrong value to the next, and look for what they have in common."
      : "look through the slices: no value differs.",
  );
}

// One number of the list `index`, as a control reads and writes it.
function entry(ui, axis) {
  const set = (_, value) =>
    ui.set(
      "index",
      ui.get("index").map((old, i) => (i === axis ? value : old)),
    );
  return { ...ui, get: () => ui.get("index")[axis] ?? 0, set };
}

// The wrong value that follows `at`, in whichever slice it is, and the first one after the last.
function following(ui, { wrong, actual: { shape } }, at) {
  const found = wrong.indexOf(1, at + 1);
  const next = found < 0 ? wrong.indexOf(1) : found;
  ui.set("index", place(next, shape).slice(0, -2));
  return { next, cell: cellOf(next % count(shape.slice(-2)), layout(shape).columns) };
}

function threeMaps(ui, now) {
  const { rows, columns } = layout(now.actual.shape);
  const { start, size } = slice(now.actual.shape, now.index);
  const part = (data) => padded(data.subarray(start, start + size), rows * columns);
  const flag = now.first >= start && now.first < start + size ? cellOf(now.first - start, columns) : null;
  const scale = scaleOf(part(now.expected.data));
  const shared = { rows, columns, flag };
  const dots = now.wrong.subarray(start, start + size);
  const maps = [now.actual, now.expected].map(({ data }) => ({
    ...marked(data.subarray(start, start + size)),
    data: part(data),
    ...scale,
    ...shared,
  }));
  if (ui.get("show") === "wrong")
    return [...maps, { data: padded(dots, rows * columns), range: [0, 1], note: "dark where they differ", ...shared }];
  const [low, high] = extent([part(now.difference)]);
  const reach = Math.max(Math.abs(low), Math.abs(high), now.atol) || 1;
  const note = `±${rounded(reach)}; dots are wrong`;
  return [...maps, { data: part(now.difference), range: [-reach, reach], palette: "diverging", dots, note, ...shared }];
}

const rounded = (value) => number(Number(value.toPrecision(4)));

// The ends of the colour scale in words; values of yours beyond them have the colours of the ends.
function ends([from, to], data) {
  const [low, high] = extent([data]);
  return [low < from ? `≤ ${rounded(from)}` : rounded(from), high > to ? `≥ ${rounded(to)}` : rounded(to)];
}

const cellOf = (at, columns) => [Math.floor(at / columns), at % columns];

// The first slice of each: their shapes differ, so nothing can be laid upon the other.
function twoMaps({ actual, expected }) {
  const scale = scaleOf(expected.data);
  const maps = [actual, expected].map(({ data, shape }) => {
    const { rows, columns } = layout(shape);
    const first = Array(Math.max(0, shape.length - 2)).fill(0);
    const { size } = slice(shape, first);
    const sizes = shape.join(" × ");
    const note = first.length ? `[${first.join(", ")}] of ${sizes}` : sizes;
    return {
      ...marked(data.subarray(0, size)),
      data: padded(data.subarray(0, size), rows * columns),
      rows,
      columns,
      ...scale,
      note,
    };
  });
  return [...maps, null];
}

// A dot on each value that is no finite number.
function marked(data) {
  const dots = Uint8Array.from(data, (value) => Number(!Number.isFinite(value)));
  return dots.includes(1) ? { dots, note: "dots: NaN or infinite" } : {};
}

// A folded row may leave cells over: they are striped, as are infinities.
function padded(data, size) {
  const out = new Float64Array(size).fill(NaN);
  for (let i = 0; i < data.length; i++) if (Number.isFinite(data[i])) out[i] = data[i];
  return out;
}

// The reference sets the colours, so that one wild value of yours does not turn all others grey.
function scaleOf(data) {
  const [low, high] = extent([data]);
  if (low >= 0) return { range: [0, high || 1], palette: "sequential" };
  const reach = Math.max(-low, high);
  return { range: [-reach, reach], palette: "diverging" };
}
