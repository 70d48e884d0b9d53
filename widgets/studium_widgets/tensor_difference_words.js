// What is said of two arrays: the facts above the maps, the sentence below, the table.
import { count, layout, place, slice } from "./tensor_difference_maths.js";

const ROWS = 200; // of the table

/** A value with seven digits, as short as they go. */
export function number(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size && (size < 1e-4 || size >= 1e7) ? value.toExponential(3) : String(Number(value.toPrecision(7)));
  return text.replaceAll("-", "−");
}

const spell = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;

/** [{text, wrong}]: shapes, types, how many differ, what is odd. */
export function factList(now) {
  const [mine, its] = now.shapes.length === 2 ? now.shapes : [now.actual.shape, now.expected.shape];
  const facts = [
    now.same ? { text: `shape ${spell(mine)}` } : { text: `shape ${spell(mine)}, expected ${spell(its)}`, wrong: true },
  ];
  const [type, wanted] = now.dtypes;
  if (type)
    facts.push({ text: type === wanted ? type : `${type}, the reference is ${wanted}: types are not compared` });
  if (now.same)
    facts.push({
      text: `${now.bad.toLocaleString("en")} of ${now.wrong.length.toLocaleString("en")} values differ`,
      wrong: now.bad > 0,
    });
  if (now.same && now.largest >= 0)
    facts.push({ text: `largest difference ${number(Math.abs(now.difference[now.largest]))}` });
  ["yours", "the reference"].forEach((name, i) => {
    const { nan, infinite } = now.odd[i];
    if (nan) facts.push({ text: `${nan} NaN in ${name}`, wrong: true });
    if (infinite) facts.push({ text: `${infinite} infinite in ${name}`, wrong: true });
  });
  if (count(now.actual.shape) < count(mine))
    facts.push({ text: `shown: ${spell(now.actual.shape)} from ${whole(now, 0)}` });
  return facts;
}

/** The index in the whole array of the flat index `at` in the part that is shown. */
function whole(now, at) {
  const index = place(at, now.actual.shape).map((i, axis) => i + (now.origin[axis] ?? 0));
  return `[${index.join(", ")}]`;
}

const WHY = {
  transposed: () => "Yours is the reference with its last two axes changed over.",
  scaled: (value) => `Yours is the reference times ${number(Number(value.toPrecision(5)))} everywhere.`,
  shifted: (value) => `Yours is the reference plus ${number(Number(value.toPrecision(5)))} everywhere.`,
  flipped: () => "Yours is the reference back to front along the last axis.",
  "": () => "",
};

/** What the maps say, or the values of the cell under the cursor. */
export function sentence(ui, now, cell) {
  const why = now.bad === 0 ? "" : WHY[now.why.kind](now.why.value);
  if (!now.same) return [shapeSentence(now), why].filter(Boolean).join(" ");
  const at = cell ? flat(now, cell) : now.first;
  if (cell && at >= 0) return read(now, at);
  if (now.bad === 0) return "Yours equals the reference.";
  return [`First wrong at ${read(now, now.first)}`, why].filter(Boolean).join(" ");
}

function shapeSentence({ axes: [first], actual, expected }) {
  if (first.axis < 0)
    return `Yours has ${actual.shape.length} axes, the reference ${expected.shape.length}: compare ${spell(actual.shape)} with ${spell(expected.shape)}.`;
  return `Axis ${first.axis} is ${first.actual} long in yours and ${first.expected} in the reference.`;
}

function flat(now, [row, column]) {
  const { columns } = layout(now.actual.shape);
  const { start, size } = slice(now.actual.shape, now.index);
  const inside = row * columns + column;
  return inside < size ? start + inside : -1;
}

function read(now, at) {
  const [mine, its] = [now.actual.data[at], now.expected.data[at]];
  const gap = Number.isFinite(now.difference[at]) ? `, difference ${number(now.difference[at])}` : "";
  return `${whole(now, at)}: yours ${number(mine)}, reference ${number(its)}${gap}${now.wrong[at] ? "" : ", within tolerance"}.`;
}

/** Rows of the table: the first values of the slice that differ; for shapes that differ, the axes. */
export function tableRows(now) {
  if (!now.same) {
    const rows = now.axes.map(({ axis, actual, expected }) => [
      axis < 0 ? "axes" : `axis ${axis}`,
      String(actual),
      String(expected),
    ]);
    return { columns: ["", "yours", "reference"], rows };
  }
  const rows = [];
  const { start, size } = slice(now.actual.shape, now.index);
  for (
    let i = now.wrong.indexOf(1, start);
    i >= 0 && i < start + size && rows.length < ROWS;
    i = now.wrong.indexOf(1, i + 1)
  ) {
    rows.push([whole(now, i), number(now.actual.data[i]), number(now.expected.data[i]), number(now.difference[i])]);
  }
  return { columns: ["index", "yours", "reference", "difference"], rows };
}
