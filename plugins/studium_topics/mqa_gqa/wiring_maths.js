// Heads that share keys and values: who looks at whom, what merging makes of them, and what comes out. No DOM.

/** The whole numbers that divide `heads`, rising. */
export const divisors = (heads) =>
  Array.from({ length: heads }, (_, i) => i + 1).filter((groups) => heads % groups === 0);

/** The shared head that query head `h` looks at. "tiled" is what `repeat` makes of it. */
export const sharedBy = (h, heads, groups, order) =>
  order === "tiled" ? h % groups : Math.floor((h * groups) / heads);

/** Heads (H, `block`) flat, merged to `groups` of them: the mean of neighbours, or the "first" of each group. */
export function merged(data, heads, groups, way) {
  const [block, members] = [data.length / heads, heads / groups];
  const taken = way === "first" ? 1 : members;
  const out = new Float64Array(groups * block);
  for (let g = 0; g < groups; g++) {
    const shared = out.subarray(g * block, (g + 1) * block);
    for (let m = 0; m < taken; m++) {
      const from = (g * members + m) * block;
      for (let i = 0; i < block; i++) shared[i] += data[from + i];
    }
    if (taken > 1) for (let i = 0; i < block; i++) shared[i] /= taken;
  }
  return out;
}

/** The result (H, d) flat of each query head, on keys and values of `groups` heads. */
export function results({ query, heads, size, tokens }, keys, values, groups, order) {
  const out = new Float64Array(heads * size);
  for (let h = 0; h < heads; h++) {
    const start = sharedBy(h, heads, groups, order) * tokens * size;
    const weights = attention(query.slice(h * size, (h + 1) * size), keys, start, tokens);
    const result = out.subarray(h * size, (h + 1) * size);
    for (let t = 0, from = start; t < tokens; t++, from += size) {
      for (let i = 0; i < size; i++) result[i] += weights[t] * values[from + i];
    }
  }
  return out;
}

function attention(query, keys, start, tokens) {
  const size = query.length;
  const scores = new Float64Array(tokens);
  for (let t = 0, from = start; t < tokens; t++, from += size) {
    let dot = 0;
    for (let i = 0; i < size; i++) dot += query[i] * keys[from + i];
    scores[t] = dot / Math.sqrt(size);
  }
  const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const exponentials = scores.map((score) => Math.exp(score - top));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

/** For each head ‖found − expected‖ / ‖expected‖, 0 where both are 0. */
export function errors(found, expected, heads) {
  const size = found.length / heads;
  return Array.from({ length: heads }, (_, h) => {
    let [gap, length] = [0, 0];
    for (let i = h * size; i < (h + 1) * size; i++) {
      gap += (found[i] - expected[i]) ** 2;
      length += expected[i] ** 2;
    }
    return length ? Math.sqrt(gap / length) : gap ? 1 : 0;
  });
}
