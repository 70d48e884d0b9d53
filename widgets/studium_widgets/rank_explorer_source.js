// What all the pictures show: each part is computed again only when something that it depends on has changed.
import { advance, beginRun, copyAt, multiply, STEPS } from "./rank_explorer_learning.js";
import { planted } from "./rank_explorer_maths.js";
import { energy, moveRank, svd, tailEnergies } from "./spectrum_maths.js";

const [BEGUN, UNDER_WAY] = [1, 4]; // ms of a frame that learning may take: while something is moved it begins anew
const KEPT_RUNS = 6;

/** source(ui)() → {rows, columns, target, s, tails, total, rank, tail, kept, scale, factors, product, residual, left, run}. */
export function source(ui) {
  const matrix = remember(() => matrixOf(ui));
  const runOf = runs(ui);
  let best = null;
  const buffers = {};
  return () => {
    const given = ui.array("delta");
    const base = matrix([given, given ? "" : ui.get("update")]);
    const rank = Math.min(ui.get("rank"), base.s.length);
    if (best?.base !== base) best = { base, product: new Float64Array(base.target.length), rank: 0 };
    moveRank(best.product, base.factors, base.rows, base.columns, best.rank, rank);
    best.rank = rank;
    const now = { ...base, ...state(ui), rank, scale: ui.get("alpha") / rank };
    now.tail = base.tails[rank];
    now.kept = base.total ? 1 - now.tail / base.total : 1;
    now.run = runOf(now);
    return Object.assign(now, pictures(now, best.product, buffers));
  };
}

const state = (ui) => ({
  factors: ui.get("factors"),
  steps: ui.get("steps"),
  optimiser: ui.get("optimiser"),
  logarithmic: ui.get("logarithmic"),
});

function matrixOf(ui) {
  const given = ui.array("delta");
  const target = given ? Float64Array.from(given.data) : planted(ui.get("update"));
  const [rows, columns] = given ? given.shape : [Math.sqrt(target.length), Math.sqrt(target.length)];
  const factors = svd(target, rows, columns);
  const tails = tailEnergies(factors.s);
  const largest = target.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  return { target, rows, columns, factors, s: factors.s, tails, total: tails[0], largest };
}

// The value of make() for the latest key.
function remember(make) {
  let last = { key: [] };
  return (key) => {
    if (!last.value || key.some((part, i) => part !== last.key[i])) last = { key, value: make() };
    return last.value;
  };
}

// The training run of the present settings, a slice further at each call; the latest few runs are kept.
function runs(ui) {
  let matrix = null;
  let known = new Map();
  return ({ target, rows, columns, rank, scale, optimiser, s }) => {
    if (matrix !== target) [matrix, known] = [target, new Map()];
    const key = [rank, scale, optimiser, ui.get("seed")].join();
    const options = { rank, scale, method: optimiser, seed: ui.get("seed"), largest: s[0] };
    const slice = known.has(key) ? UNDER_WAY : BEGUN;
    const run = known.get(key) ?? beginRun(target, rows, columns, options);
    known.delete(key);
    known.set(key, run);
    if (known.size > KEPT_RUNS) known.delete(known.keys().next().value);
    const end = performance.now() + slice;
    advance(run, () => performance.now() > end);
    run.complete = run.done === STEPS;
    return run;
  };
}

// The applied update (alpha / r) B A, what it leaves of the target, and the energy of that.
function pictures({ target, rows, columns, rank, scale, factors, run, steps }, best, buffers) {
  if (buffers.product?.length !== target.length) {
    Object.assign(buffers, { product: new Float64Array(target.length), residual: new Float64Array(target.length) });
  }
  const { product, residual } = buffers;
  const copy = factors === "learned" ? (copyAt(run, steps) ?? run.copies.at(-1)) : null;
  if (copy) multiply(copy.b, copy.a, rows, columns, rank, scale, product);
  else for (let i = 0; i < product.length; i++) product[i] = factors === "rescaled" ? scale * best[i] : best[i];
  for (let i = 0; i < product.length; i++) residual[i] = target[i] - product[i];
  return { product, residual, left: energy(residual) };
}
