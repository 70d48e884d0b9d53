// Rotary position embedding: frequencies, the ways to stretch them, and scores. No DOM.

const TURN = 2 * Math.PI;
const [FAST, SLOW] = [32, 1]; // YaRN: pairs that turn more often than 32 times in the context stay, under once are interpolated

/**
 * {frequencies, gain}: radians a position of each of the `d` / 2 pairs, fastest first, and the factor by which query and key
 * are each multiplied. `method`: none, linear, ntk, yarn. `exponent`: 2 (right), or 1 for the mistake base^(−i/d).
 */
export function frequencies({ d, base, method = "none", factor = 1, context = 2048, exponent = 2 }) {
  const stretched = method === "ntk" ? base * factor ** (d / (d - 2)) : base;
  const plain = Float64Array.from({ length: d / 2 }, (_, i) => stretched ** ((-exponent * i) / d));
  if (method === "linear") return { frequencies: plain.map((value) => value / factor), gain: 1 };
  if (method !== "yarn") return { frequencies: plain, gain: 1 };
  const ramp = yarnRamp(d, base, context);
  return {
    frequencies: plain.map((value, i) => value * (1 - ramp[i] + ramp[i] / factor)),
    gain: factor > 1 ? 0.1 * Math.log(factor) + 1 : 1,
  };
}

/** For each pair how much of it YaRN interpolates, from 0 (fast, as it was) to 1 (slow, divided by the factor). */
export function yarnRamp(d, base, context) {
  const pairAt = (turns) => (d * Math.log(context / (turns * TURN))) / (2 * Math.log(base));
  const low = Math.max(0, Math.floor(pairAt(FAST)));
  const high = Math.min(d - 1, Math.ceil(pairAt(SLOW)));
  const width = high === low ? 0.001 : high - low;
  return Float64Array.from({ length: d / 2 }, (_, i) => Math.min(1, Math.max(0, (i - low) / width)));
}

/** Both dimensions of pair `i`. */
export const pairOf = (i, d, layout) => (layout === "half" ? [i, i + d / 2] : [2 * i, 2 * i + 1]);

/**
 * `vector` turned to `position`. `angleOf`: the layout by which a dimension finds its frequency; where it is not `layout`,
 * the two numbers of a pair turn by different angles, which is no rotation.
 */
export function rotate(vector, position, speeds, layout, angleOf = layout) {
  const d = vector.length;
  const angle = (j) => position * speeds[angleOf === "half" ? j % (d / 2) : j >> 1];
  const out = new Float64Array(d);
  for (let i = 0; i < d / 2; i++) {
    const [a, b] = pairOf(i, d, layout);
    out[a] = vector[a] * Math.cos(angle(a)) - vector[b] * Math.sin(angle(a));
    out[b] = vector[b] * Math.cos(angle(b)) + vector[a] * Math.sin(angle(b));
  }
  return out;
}

/** The mean over dimensions of query times key, each at its position, under one `mistake` or none. */
export function score({ query, key, speeds, gain, layout, mistake }, m, n) {
  const other = layout === "half" ? "interleaved" : "half";
  const angleOf = mistake === "mixed" ? other : layout;
  const q = rotate(query, m, speeds, layout, angleOf);
  const k = rotate(key, mistake === "key still" ? 0 : mistake === "sign" ? -n : n, speeds, layout, angleOf);
  return (gain ** 2 * q.reduce((sum, value, j) => sum + value * k[j], 0)) / q.length;
}

/**
 * The scores at `offsets` for a query that stands at `m`. Without a mistake each is a sum of cosines of the offset alone,
 * which costs a sixteenth of turning the vectors.
 */
export function curve(setting, m, offsets) {
  const { query, key, speeds, gain, layout, mistake } = setting;
  if (mistake === "mixed" || mistake === "sign" || mistake === "key still")
    return Float64Array.from(offsets, (offset) => score(setting, m, m - offset));
  const d = query.length;
  const parts = Array.from(speeds, (speed, i) => {
    const [a, b] = pairOf(i, d, layout);
    return { speed, even: query[a] * key[a] + query[b] * key[b], odd: query[a] * key[b] - query[b] * key[a] };
  });
  return Float64Array.from(offsets, (offset) => {
    let sum = 0;
    for (const { speed, even, odd } of parts) sum += even * Math.cos(offset * speed) + odd * Math.sin(offset * speed);
    return (gain ** 2 * sum) / d;
  });
}

/** Whether the pair of `speed` meets at `offset` an angle that no offset below `context`, at `trained` speed, has shown it. */
export const unseen = (speed, offset, trained, context) =>
  trained * context < TURN && Math.abs(offset) * speed > trained * context * (1 + 1e-9);
