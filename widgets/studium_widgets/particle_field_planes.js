// The plane, and the one beside it: ground, arrows, particles and the probe, from what `model` reads.
import { h } from "./controls/element.js";
import { DASHES } from "./controls/legend.js";
import { memo } from "./controls/memo.js";
import { particleField } from "./controls/particle_field.js";
import { fieldAt, SIDE } from "./particle_field_model.js";
import { groupName, NAMES, percent } from "./particle_field_words.js";
import { adjusted, fieldOf, grids, guided, tilted } from "./particle_field_maths.js";

const GRID = 15; // arrows across
const POINTER = 80; // px of the longest arrow at the probe
const [MARKED, TRAIL] = [3, 24]; // particles with a trail, and its frames
const MOST_NAMED = 8; // groups whose names are written beside them

/** `draw(now)`. Gives {element}. */
export function planes(ui) {
  const moved = (x, y) => {
    ui.set("probe_x", x);
    ui.set("probe_y", y);
  };
  const fields = [
    "Particles: drag or press the arrow keys to move the probe",
    "Beside: drag or press the arrow keys to move the probe",
  ].map((label) => particleField(ui, { label, moved }));
  const boards = h("div", { class: "st-particles-planes" }, ...fields.map((field) => field.element));
  const grounds = [0, 1].map(() => ({ level: memo(fieldAt), exact: memo(grids), picture: memo(ground) }));
  const draw = (now) => {
    const both = now.beside ?? now.yours;
    boards.classList.toggle("st-two", Boolean(both));
    fields[1].element.hidden = !both;
    const stacked = both && ui.widthOf(boards) < 450;
    const size = Math.max(
      120,
      Math.min(520, Math.floor(both && !stacked ? (ui.widthOf(boards) - 10) / 2 : ui.widthOf(boards))),
    );
    const rings = modesOf(now);
    const first = { ...content(ui, now, now.main, grounds[0]), rings, marks: marks(ui, now, now.found) };
    const note = `step ${now.step} of ${now.n}`;
    fields[0].draw({ size, ...first, title: NAMES[now.sampler], note });
    if (now.beside)
      fields[1].draw({
        size,
        ...content(ui, now, now.beside, grounds[1], sameLevel(now) ? first.ground : null),
        rings,
        marks: marks(ui, now, now.other),
        title: `${NAMES[ui.get("beside")]}${now.mistake[0] === "none" ? "" : ", correct"}`,
        note,
      });
    if (now.yours) fields[1].draw({ size, ...first, marks: [], ...yours(now), title: "Yours" });
  };
  return { element: boards, draw };
}

// Two standard deviations around each mode of the data.
const modesOf = ({ mix }) =>
  Array.from({ length: mix.count }, (_, k) => [
    mix.means[2 * k],
    mix.means[2 * k + 1],
    2 * Math.sqrt(mix.variances[k]),
  ]);

// Beside each group its share of the particles, with its name and the right share; the class that is asked for is large.
function marks(ui, { mix, groups, guidance, goal, half }, found) {
  const count = goal.shares.length;
  if (count > MOST_NAMED) return [];
  return Array.from({ length: count }, (_, g) => {
    const own = [...mix.variances.keys()].filter((k) => groups[k] === g);
    const [x, y] = [0, 1].map((axis) => own.reduce((sum, k) => sum + mix.means[2 * k + axis], 0) / own.length);
    const far = 1 + (2.6 * Math.sqrt(mix.variances[own[0]])) / (Math.hypot(x, y) || 1);
    const asked = guidance === "none" || g === ui.get("label");
    const name = groupName(ui, guidance, g);
    const high = asked && guidance !== "none"; // out of the way of a cloud that goes outwards
    return {
      x: x * far,
      y: high ? Math.sign(y || 1) * half : y * far,
      lines: asked ? [percent(found.shares[g]), `${name}, right ${percent(goal.shares[g])}`] : [name],
      strong: asked,
    };
  });
}

// Two diffusions have the same density at the same step.
const sameLevel = ({ main, beside, step }) =>
  main.field.signal[step] === beside.field.signal[step] && main.field.variance[step] === beside.field.variance[step];

// `known`: a ground that has been painted already and is the same here.
function content(ui, now, { plan, field, guide, crowd }, { level: fieldOfLevel, exact, picture }, known = null) {
  const { half, step } = now;
  const kind = ui.get("background");
  const target = now.guidance === "none" ? 0 : guide.label;
  const values =
    kind === "none"
      ? null
      : (known ??
        picture(
          exact(fieldOfLevel(now.mix, now.groups, plan.signal[step], plan.noise[step]), 0, target, SIDE, half),
          kind,
          now.guidance === "none" ? 0 : ui.get("scale"),
        ));
  const probe = [ui.get("probe_x"), ui.get("probe_y")];
  const level = { plan, field, guide, step, at: Math.min(step, plan.A.length - 1) };
  return {
    half,
    ground: values,
    arrows: ui.get("arrows") === "none" ? [] : quiver(now, level, ui.get("arrows") === "change"),
    points: crowd.at(step),
    trails: crowd.trails(step, MARKED, TRAIL),
    probe,
    pointers: pointers(ui, now, level, probe),
  };
}

function ground({ whole, posterior }, kind, scale) {
  return { side: SIDE, values: kind === "class" ? posterior : tilted({ whole, posterior }, scale) };
}

// Frames of the learner's own run at the same share of the way.
function yours({ yours: { data, shape }, step, n }) {
  const [frames, count] = shape;
  const frame = Math.round((step / n) * (frames - 1));
  const from = (f, p) => 2 * (f * count + p);
  const trail = (p) =>
    Array.from({ length: Math.min(TRAIL, frame + 1) }, (_, i) => frame - Math.min(TRAIL - 1, frame) + i).flatMap(
      (f) => [data[from(f, p)], data[from(f, p) + 1]],
    );
  return {
    points: data.subarray(from(frame, 0), from(frame, 0) + 2 * count),
    trails: Array.from({ length: Math.min(MARKED, count) }, (_, p) => trail(p)),
    note: `frame ${frame} of ${frames - 1}`,
  };
}

// Arrows of the score on a grid: five numbers each, as `particleField` takes them. Long ones are shortened.
function quiver(now, { field, guide, step, at }, coloured) {
  const { half } = now;
  const out = new Float64Array(5 * GRID * GRID);
  const e = new Float64Array(5);
  let sum = 0;
  for (let i = 0; i < GRID * GRID; i++) {
    const [x, y] = [
      (((i % GRID) + 0.5) / GRID) * 2 * half - half,
      ((Math.floor(i / GRID) + 0.5) / GRID) * 2 * half - half,
    ];
    guided(field, guide, at, x, y, e, step);
    out.set([x, y, -e[0], -e[1], 0], 5 * i);
    sum += Math.hypot(e[0], e[1]) / (GRID * GRID);
  }
  const change = coloured && now.mix.count > 1 ? weightChange(now, field, step) : null;
  for (let i = 0; i < out.length; i += 5) {
    const length = Math.hypot(out[i + 2], out[i + 3]);
    const px = (24 * (1 - Math.exp(-length / sum))) / (length || 1);
    out[i + 2] *= px;
    out[i + 3] *= px;
    if (change) out[i + 4] = change(out[i], out[i + 1]);
  }
  return out;
}

// How much of the score turns on the weight of mode 1: |difference between weights 0.1 and 0.9| / the larger score.
function weightChange({ mix }, { signal, variance }, step) {
  const one = [0.1, 0.9].map((share) =>
    fieldOf(adjusted(mix, share, 1), [...mix.variances.keys()], [signal[step]], [variance[step]]),
  );
  const [a, b] = [new Float64Array(5), new Float64Array(5)];
  return (x, y) => {
    guided(one[0], { kind: "none" }, 0, x, y, a);
    guided(one[1], { kind: "none" }, 0, x, y, b);
    const most = Math.max(Math.hypot(a[0], a[1]), Math.hypot(b[0], b[1]));
    return most ? (Math.hypot(a[0] - b[0], a[1] - b[1]) / most) * 2 : 0;
  };
}

function pointers(ui, { guidance }, { field, guide, step, at }, [x, y]) {
  const e = new Float64Array(5);
  guided(field, guide, at, x, y, e, step);
  const sum = [-e[0], -e[1]];
  if (guidance === "none") return scaled([[sum, "score", ui.theme.accent]]);
  const whole = new Float64Array(5);
  guided(field, { kind: "none" }, at, x, y, whole, step);
  return scaled([
    [[-whole[0], -whole[1]], "to the data", ui.theme.muted],
    [[sum[0] + whole[0], sum[1] + whole[1]], "s × to the class", ui.theme.accent],
    [sum, "sum", ui.theme.text],
  ]);
}

function scaled(vectors) {
  const longest = Math.max(...vectors.map(([[x, y]]) => Math.hypot(x, y))) || 1;
  return vectors.map(([[x, y], name, colour], i) => ({
    dx: (POINTER * x) / longest,
    dy: (POINTER * y) / longest,
    colour,
    name,
    dash: vectors.length > 1 ? DASHES[2 - i] : [],
  }));
}
