// All that follows from the state, each part computed again only when what it depends on has changed: no DOM.
import { memo } from "./controls/memo.js";
import * as maths from "./noise_schedule_maths.js";
import { normals } from "./random.js";
import { plan, quality, stateAt, varianceRatio, walk } from "./noise_schedule_sampler.js";

export const [PARTICLES, MARKED] = [300, 30];
const KINDS = ["linear", "scaled-linear", "cosine"];

/** `read()` → what to draw now; `advance(ms)` walks particles for about so long and says whether all have arrived. */
export function model(ui) {
  const parts = {
    mixture: memo(mixture),
    curves: memo(curves),
    draws: memo(maths.draws),
    least: memo(maths.leastLoss),
    plan: memo(planned),
    losses: memo(losses),
    ratio: memo(ratios),
  };
  const crowd = particles();
  const read = () => {
    const T = length(ui);
    const mix = parts.mixture(ui.array("means").data, ui.array("variances").data, ui.array("weights").data);
    const lines = parts.curves(T, ui.array("abar")?.data ?? null);
    const kind = ui.get("schedule");
    const chosen = lines[kind];
    const draws = parts.draws(mix, PARTICLES, ui.get("seed"));
    const options = ["sampling_steps", "spacing", "eta", "variance", "bug"].map(ui.get);
    const steps = parts.plan(chosen.abar, mix.box, ...options);
    crowd.use(steps, mix, chosen.abar, ui.get("seed"));
    const t = Math.max(-1, Math.min(T - 1, ui.get("t")));
    const loss = parts.losses(parts.least(mix, draws), chosen.abar, ui.array("losses")?.data ?? null);
    const variance = parts.ratio(steps, chosen.abar, mix.s2);
    return {
      T,
      t,
      kind,
      mix,
      lines,
      chosen,
      draws,
      steps,
      loss,
      crowd,
      variance,
      eta: ui.get("eta"),
      abar: maths.signalAt(chosen.abar, t),
      done: stateAt(steps.wrong.times, t),
    };
  };
  return { read, advance: crowd.advance };
}

/** T: of the array from Python where the schedule is "yours". */
export const length = (ui) => (ui.get("schedule") === "yours" ? ui.array("abar").data.length : ui.get("steps"));

function mixture(...arrays) {
  const mix = maths.mixtureOf(...arrays.map((array) => Float64Array.from(array)));
  const s2 = mix.weights.reduce((sum, weight, k) => sum + weight * mix.variances[k], 0);
  const reach = (k) =>
    Math.max(Math.abs(mix.means[2 * k]), Math.abs(mix.means[2 * k + 1])) + 3 * Math.sqrt(mix.variances[k]);
  const box = Math.max(...Array.from(mix.variances, (_, k) => reach(k)));
  return { ...mix, s2, box, half: Math.max(2.7, 1.08 * box) };
}

function curves(T, custom) {
  const line = (abar, beta) => ({ abar, beta, snr: maths.snr(abar) });
  const known = KINDS.map((kind) => {
    const beta = maths.betas(kind, T);
    return [kind, line(maths.abarOf(beta), beta)];
  });
  const own = custom && Float64Array.from(custom);
  return Object.fromEntries([...known, ...(own ? [["yours", line(own, maths.betasOf(own))]] : [])]);
}

function losses(least, abar, custom) {
  const simple = maths.lossAt(least, abar);
  const weights = maths.boundWeights(abar);
  const bound = simple.map((value, t) => value * weights[t]);
  return { simple: maths.shares(simple), bound: maths.shares(bound), yours: custom && maths.shares(custom) };
}

function planned(abar, box, steps, spacing, eta, variance, bug) {
  const options = { abar, box, steps, spacing, eta, variance };
  const right = plan(options);
  return { right, wrong: bug === "none" ? right : plan({ ...options, bug }) };
}

const ratios = ({ right, wrong }, abar, s2) => ({
  right: varianceRatio(right, abar, s2),
  wrong: varianceRatio(wrong, abar, s2),
});

// The particles' ways for the plan in force. `use` starts them again where anything has changed.
function particles() {
  const crowd = { ways: new Float32Array(0), ready: 0, stride: 0, quality: null };
  const noise = [];
  let [given, table, seed] = [[], null, null];
  crowd.use = (...now) => {
    if (now.every((part, i) => part === given[i])) return;
    given = now;
    const [{ wrong }, mix, abar] = now;
    if (seed !== now[3]) noise.length = 0;
    seed = now[3];
    crowd.stride = 2 * (wrong.times.length + 1);
    if (crowd.ways.length < PARTICLES * crowd.stride) crowd.ways = new Float32Array(PARTICLES * crowd.stride);
    table = maths.marginals(
      mix,
      Float64Array.from(wrong.told, (t) => abar[t]),
    );
    Object.assign(crowd, { ready: 0, quality: null });
  };
  crowd.advance = (ms) => {
    const end = performance.now() + ms;
    while (crowd.ready < PARTICLES && performance.now() < end) {
      const p = crowd.ready++;
      if (!(noise[p]?.length >= crowd.stride)) noise[p] = normals(seed, p, crowd.stride);
      walk(given[0].wrong, table, noise[p], crowd.ways, p * crowd.stride);
    }
    if (crowd.ready === PARTICLES) crowd.quality ??= quality(ends(crowd), given[1]);
    return crowd.ready === PARTICLES;
  };
  return crowd;
}

function ends({ ways, stride }) {
  return Float32Array.from({ length: 2 * PARTICLES }, (_, i) => ways[(i >> 1) * stride + stride - 2 + (i % 2)]);
}
