// All that follows from the state, each part computed again only when what it depends on has changed: no DOM.
import { memo } from "./controls/memo.js";
import { mixtureOf } from "./noise_schedule_maths.js";
import { energyDistance, moments, shares } from "./particle_field_measures.js";
import { inForce } from "./particle_field_mistakes.js";
import * as maths from "./particle_field_maths.js";

export const SIDE = 120; // cells of a density
const DRAWS = 600; // of the exact density
const UNDERWAY = 400; // particles that are counted while they are on their way
const JUDGED = 500; // points of a cloud that are compared with the exact density
const OPTIONS = { steps: "steps", stepSize: "step_size", sigma: "sigma", sigmaMax: "sigma_max", levels: "levels" };
const GUIDE = {
  kind: "guidance",
  label: "label",
  scale: "scale",
  temperature: "classifier_temperature",
  from: "guide_from",
  to: "guide_to",
  rescale: "rescale",
};

/** `read()` → what to draw now; `advance(ms)` walks particles for about so long. */
export function model(ui) {
  const parts = {
    given: memo(given),
    mixture: memo(maths.adjusted),
    half: memo(halfOf),
    modes: memo(modes),
    main: run(),
    beside: run(),
    end: memo(fieldAt),
    grids: memo(maths.grids),
    target: memo(target),
    judges: [judge(), judge()],
  };
  let active = [];
  const read = () => {
    const raw = parts.given(...["means", "variances", "weights"].map((name) => ui.array(name).data));
    const mix = parts.mixture(raw, ui.get("share"), ui.get("distance"));
    const half = parts.half(raw, Math.max(1, ui.get("distance")));
    const [sampler, guidance] = [ui.get("sampler"), ui.get("guidance")];
    const groups = guidance === "none" ? parts.modes(raw.count) : ui.get("classes");
    const shared = { ui, mix, half, sampler, guidance, groups };
    const mistake = inForce(shared, ui.get("mistake"));
    const main = parts.main({ ...shared, mistake: mistake[0] });
    const second = ui.get("beside");
    const yours = second === "yours" ? ui.array("trajectory") : null;
    const beside = /yours|none/.test(second) ? null : parts.beside({ ...shared, sampler: second, mistake: "none" });
    active = [main, beside].filter(Boolean);
    const n = ui.get("steps");
    const step = Math.min(n, ui.get("step"));
    const guided = guidance !== "none";
    const end = parts.end(mix, groups, 1, main.plan.finest);
    const exact = parts.grids(end, 0, guided ? main.guide.label : 0, SIDE, half);
    const goal = parts.target(end, exact, guided ? ui.get("scale") : 0, half, ui.get("seed"));
    const [found, other] = active.map((run, i) => parts.judges[i](run.crowd, end, goal, step, n));
    return {
      half,
      main,
      beside,
      yours,
      step,
      n,
      goal,
      found,
      other,
      mistake,
      arrived: active.every(({ crowd }) => crowd.arrived()),
      ...shared,
    };
  };
  const advance = (ms) => active.forEach(({ crowd }) => crowd.advance(ms / active.length));
  return { read, advance };
}

const given = (...arrays) => mixtureOf(...arrays.map((array) => Float64Array.from(array)));

function halfOf({ count, means, variances }, distance) {
  const reach = (k) =>
    distance * Math.max(Math.abs(means[2 * k]), Math.abs(means[2 * k + 1])) + 3 * Math.sqrt(variances[k]);
  return Math.max(2.7, 1.08 * Math.max(...Array.from({ length: count }, (_, k) => reach(k))));
}

// Without guidance each mode is a group of its own.
const modes = (count) => Array.from({ length: count }, (_, k) => k);

/** The mixture at one noise level, as `fieldOf` gives it: the same one for plans that end alike. */
export const fieldAt = (mixture, groups, signal, variance) => maths.fieldOf(mixture, groups, [signal], [variance]);

// One sampler's plan, field and crowd.
function run() {
  const planned = memo((mixture, groups, sampler, mistake, ...values) => {
    const options = Object.fromEntries(Object.keys(OPTIONS).map((key, i) => [key, values[i]]));
    const plan = maths.plan({ sampler, mistake, ...options });
    return { plan, field: maths.fieldOf(mixture, groups, plan.signal, plan.noise) };
  });
  const guided = memo((plan, mistake, ...values) =>
    maths.guidance({ mistake, ...Object.fromEntries(Object.keys(GUIDE).map((key, i) => [key, values[i]])) }, plan),
  );
  const crowd = particles();
  return ({ ui, mix, half, sampler, groups, mistake }) => {
    const { plan, field } = planned(mix, groups, sampler, mistake, ...Object.values(OPTIONS).map(ui.get));
    const guide = guided(plan, mistake, ...Object.values(GUIDE).map(ui.get));
    crowd.use(plan, field, guide, half, ui.get("particles"), ui.get("seed"));
    return { plan, field, guide, crowd };
  };
}

// The particles' ways. Where anything has changed they are walked again in turn; until its turn a particle stays where it was.
function particles() {
  let [key, N, every, frames, cursor, ready, round] = [[], 0, 1, 0, 0, 0, 0];
  let [ways, fresh, shown] = [new Float32Array(0), new Uint32Array(0), new Float32Array(0)];
  const use = (...now) => {
    if (now.every((part, i) => part === key[i])) return;
    key = now;
    const n = now[0].A.length;
    [every, frames, ready, round] = [maths.stride(n), Math.ceil(n / maths.stride(n)) + 1, 0, round + 1];
    if (ways.length < now[4] * frames * 2) ways = new Float32Array(now[4] * frames * 2);
    if (N !== now[4]) [fresh, shown] = [new Uint32Array(now[4]), new Float32Array(2 * now[4]).fill(NaN)];
    N = now[4];
  };
  const advance = (ms) => {
    const end = performance.now() + ms;
    const [plan, field, guide, half, , seed] = key;
    for (; ready < N && performance.now() < end; ready++) {
      cursor = (cursor + 1) % N;
      maths.walk(plan, field, guide, { seed, particle: cursor, half, every }, ways, cursor * frames * 2);
      fresh[cursor] = round;
    }
  };
  const frameOf = (step) => Math.min(frames - 1, Math.ceil(step / every));
  const at = (step) => {
    const frame = frameOf(step);
    for (let p = 0; p < N; p++) {
      if (fresh[p] !== round) continue;
      shown[2 * p] = ways[2 * (p * frames + frame)];
      shown[2 * p + 1] = ways[2 * (p * frames + frame) + 1];
    }
    return shown;
  };
  const trails = (step, count, length) => {
    const [last, from] = [frameOf(step), Math.max(0, frameOf(step) - length)];
    const marked = Array.from({ length: Math.min(count, N) }, (_, p) => p).filter((p) => fresh[p] === round);
    return marked.map((p) => ways.subarray(2 * (p * frames + from), 2 * (p * frames + last + 1)));
  };
  return { use, advance, at, trails, arrived: () => ready >= N, round: () => round };
}

// The exact density that the samples should have: its shares of the groups, its spread, and draws to compare with.
function target(field, exact, scale, half, seed) {
  const density = maths.tilted(exact, scale);
  const draws = maths.gridDraws(density, SIDE, half, DRAWS, seed + 1);
  return { ...standing(field, draws), few: maths.gridDraws(density, SIDE, half, JUDGED, seed + 2) };
}

// How a crowd stands at a step: {shares, radius, spread, distance}. Underway the first particles speak for all; at the
// end all are counted, once, and the distance is taken, which is NaN before.
function judge() {
  const ended = memo((_round, crowd, field, { few }, n) => {
    const cloud = crowd.at(n).slice();
    return { ...standing(field, cloud), distance: energyDistance(cloud.subarray(0, 2 * JUDGED), few) };
  });
  return (crowd, field, goal, step, n) => {
    if (step === n && crowd.arrived()) return ended(crowd.round(), crowd, field, goal, n);
    return { ...standing(field, crowd.at(step).subarray(0, 2 * UNDERWAY)), distance: NaN };
  };
}

const standing = (field, cloud) => ({ shares: shares(field, 0, cloud), ...moments(cloud) });
