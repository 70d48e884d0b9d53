// The plane, and the one beside it: ground, arrows, particles and the probe, from what `model` reads.
import { h } from "./controls/element.js";
import { DASHES, legend } from "./controls/legend.js";
import { memo } from "./controls/memo.js";
import { particleField } from "./controls/particle_field.js";
import { fieldAt, SIDE } from "./particle_field_model.js";
import { NAMES } from "./particle_field_words.js";
import { adjusted, fieldOf, grids, guided, tilted } from "./particle_field_maths.js";

const GRID = 15; // arrows across
const POINTER = 80; // px of the longest arrow at the probe
const [MARKED, TRAIL] = [12, 24]; // particles with a trail, and its frames

/** `draw(now)`. Gives {element}. */
export function planes(ui) {
  const moved = (x, y) => {
    ui.set("probe_x", x);
    ui.set("probe_y", y);
  };
  const fields = ["Particles: drag or press the arrow keys to move the probe", "Beside: drag or press the arrow keys to move the probe"].map((label) => particleField(ui, { label, moved }));
  const key = legend(ui);
  const boards = h("div", { class: "st-particles-planes" }, ...fields.map((field) => field.element));
  const element = h("div", {}, boards, key.element);
  const grounds = [0, 1].map(() => ({ level: memo(fieldAt), exact: memo(grids), picture: memo(ground) }));
  const draw = (now) => {
    const both = now.beside ?? now.yours;
    boards.classList.toggle("st-two", Boolean(both));
    fields[1].element.hidden = !both;
    const stacked = both && ui.widthOf(boards) < 450;
    const size = Math.max(120, Math.min(520, Math.floor(both && !stacked ? (ui.widthOf(boards) - 10) / 2 : ui.widthOf(boards))));
    const names = pointerNames(now);
    key.draw(names);
    const first = content(ui, now, now.main, grounds[0]);
    const note = `step ${now.step} of ${now.n}`;
    fields[0].draw({ size, ...first, title: NAMES[now.sampler], note });
    if (now.beside) fields[1].draw({ size, ...content(ui, now, now.beside, grounds[1], sameLevel(now) ? first.ground : null), title: `${NAMES[ui.get("beside")]}, correct`, note });
    if (now.yours) fields[1].draw({ size, ...first, ...yours(now), title: "Yours" });
  };
  return { element, draw };
}

// Two diffusions have the same density at the same step.
const sameLevel = ({ main, beside, step }) => main.field.signal[step] === beside.field.signal[step] && main.field.variance[step] === beside.field.variance[step];

// `known`: a ground that has been painted already and is the same here.
function content(ui, now, { plan, field, guide, crowd }, { level: fieldOfLevel, exact, picture }, known = null) {
  const { half, step } = now;
  const kind = ui.get("background");
  const target = now.guidance === "none" ? 0 : guide.label;
  const values = kind === "none" ? null : known ?? picture(exact(fieldOfLevel(now.mix, now.groups, plan.signal[step], plan.noise[step]), 0, target, SIDE, half), kind, now.guidance === "none" ? 0 : ui.get("scale"));
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
  const trail = (p) => Array.from({ length: Math.min(TRAIL, frame + 1) }, (_, i) => frame - Math.min(TRAIL - 1, frame) + i).flatMap((f) => [data[from(f, p)], data[from(f, p) + 1]]);
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
    const [x, y] = [(((i % GRID) + 0.5) / GRID) * 2 * half - half, ((Math.floor(i / GRID) + 0.5) / GRID) * 2 * half - half];
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
  const one = [0.1, 0.9].map((share) => fieldOf(adjusted(mix, share, 1), [...mix.variances.keys()], [signal[step]], [variance[step]]));
  const [a, b] = [new Float64Array(5), new Float64Array(5)];
  return (x, y) => {
    guided(one[0], { kind: "none" }, 0, x, y, a);
    guided(one[1], { kind: "none" }, 0, x, y, b);
    const most = Math.max(Math.hypot(a[0], a[1]), Math.hypot(b[0], b[1]));
    return most ? (Math.hypot(a[0] - b[0], a[1] - b[1]) / most) * 2 : 0;
  };
}

const pointerNames = ({ guidance }) => (guidance === "none" ? ["score at the probe"] : ["score of p(x)", "s × pull to the class", "sum"]);

function pointers(ui, { guidance }, { field, guide, step, at }, [x, y]) {
  const e = new Float64Array(5);
  guided(field, guide, at, x, y, e, step);
  const sum = [-e[0], -e[1]];
  if (guidance === "none") return scaled(ui, [sum]);
  const whole = new Float64Array(5);
  guided(field, { kind: "none" }, at, x, y, whole, step);
  return scaled(ui, [[-whole[0], -whole[1]], [sum[0] + whole[0], sum[1] + whole[1]], sum]);
}

function scaled(ui, vectors) {
  const longest = Math.max(...vectors.map(([x, y]) => Math.hypot(x, y))) || 1;
  return vectors.map(([x, y], i) => ({ dx: (POINTER * x) / longest, dy: (POINTER * y) / longest, colour: ui.theme.series[i], dash: DASHES[i] }));
}
