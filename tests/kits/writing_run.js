// The models and pens of the page, called with plain data.
import { unpack } from "../../plugins/studium_topics/kits/packing.js";
import { emptyCache, merged, read, weightsOf } from "../../plugins/studium_topics/kits/tiny_lm.js";
import { chosen, idsOf, multiplications, pen, repeated } from "../../plugins/studium_topics/kits/writing.js";

export { idsOf, repeated };

function modelOf({ tensors, weights, scales, heads, adapter }) {
  const base = weightsOf(unpack(tensors, weights, scales), heads);
  return adapter ? merged(base, unpack(adapter.tensors, adapter.weights, adapter.scales), adapter.share) : base;
}

/** The logits (t × tokens) of `ids`, read in chunks through one cache. */
export function logits(model, ids, chunk) {
  const weights = modelOf(model);
  const cache = emptyCache(weights, ids.length);
  const found = [];
  while (cache.length < ids.length) found.push(...read(weights, cache, ids.slice(cache.length, cache.length + chunk)));
  return found;
}

export function write(model, start, count, setting, way) {
  const made = pen(modelOf(model), { start, count, choose: (row, at) => chosen(row, at, setting).token, ...way });
  while (!made.done()) made.advance();
  return { written: made.written, costs: made.costs };
}

export function planned(model, seen, fresh) {
  return multiplications(modelOf(model), seen, fresh);
}

export function millisecondsOfACharacter(model, start, count) {
  const made = pen(modelOf(model), { start, count, choose: (row) => row.indexOf(Math.max(...row)) });
  for (let i = 0; i < 20; i++) made.advance();
  const before = performance.now();
  while (!made.done()) made.advance();
  return (performance.now() - before) / (count - 20);
}
