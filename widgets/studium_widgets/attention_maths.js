// Attention as arithmetic on plain arrays: no DOM. A head is `size` × `size` numbers, row = query, column = key.

/** Scores whose softmax gives `weights` back: their logarithms. A weight of 0 becomes −∞ and stays 0 ever after. */
export function scoresOf(weights) {
  return Float32Array.from(weights, Math.log);
}

/**
 * Softmax of each row over the keys that it may see, at `temperature`.
 * `mask`: {causal, hidden}, `hidden[key]` true for padding. `empty` fills what a query may not see: 0, or NaN to tell it apart.
 * A row that sees nothing is all `empty`. Writes into `out` (size²) and returns it.
 */
export function attend(scores, size, mask, temperature = 1, empty = 0, out = new Float32Array(size * size)) {
  for (let row = 0; row < size; row++) attendRow(scores, size, row, mask, temperature, empty, out, row * size);
  return out;
}

/** One row of `attend`, written into `out` from `start` on. */
export function attendRow(scores, size, row, { causal, hidden }, temperature, empty, out, start) {
  const end = causal ? row + 1 : size;
  const from = row * size;
  let top = -Infinity;
  for (let key = 0; key < end; key++) if (!hidden?.[key] && scores[from + key] > top) top = scores[from + key];
  const [visible, sharpness] = [top > -Infinity ? end : 0, 1 / temperature];
  let sum = 0;
  for (let key = 0; key < visible; key++) {
    const value = hidden?.[key] ? empty : Math.exp((scores[from + key] - top) * sharpness);
    out[start + key] = value;
    if (value > 0) sum += value;
  }
  out.fill(empty, start + visible, start + size);
  const share = 1 / (sum || 1);
  for (let key = 0; key < visible; key++) out[start + key] *= share;
}

/** A picture of the head `pixels` wide: every k-th query, and over each stretch of keys the largest weight. */
export function thumbnail(scores, size, mask, temperature, pixels) {
  const side = Math.min(size, pixels);
  const [row, small] = [new Float32Array(size), new Float32Array(side * side)];
  for (let y = 0; y < side; y++) {
    attendRow(scores, size, Math.floor(((y + 0.5) * size) / side), mask, temperature, 0, row, 0);
    for (let key = 0; key < size; key++) {
      const cell = y * side + Math.floor((key * side) / size);
      if (row[key] > small[cell]) small[cell] = row[key];
    }
  }
  return { data: small, rows: side, columns: side };
}

/** {key, weight}: where the query `row` looks most. */
export function strongestKey(weights, size, row) {
  let key = 0;
  for (let k = 1; k < size; k++) if ((weights[row * size + k] || 0) > (weights[row * size + key] || 0)) key = k;
  return { key, weight: weights[row * size + key] || 0 };
}

/** The index of the heaviest weight of all. */
export function heaviestCell(weights) {
  let [best, top] = [0, -1];
  for (let i = 0; i < weights.length; i++) if (weights[i] > top) [best, top] = [i, weights[i]];
  return best;
}

/** How the query `row` spreads: `tokens` = exp(entropy), and `right` = the share that lies on later tokens. */
export function spread(weights, size, row) {
  let [entropy, right] = [0, 0];
  for (let key = 0; key < size; key++) {
    const weight = weights[row * size + key] || 0;
    if (weight > 0) entropy -= weight * Math.log(weight);
    if (key > row) right += weight;
  }
  return { tokens: Math.exp(entropy), right };
}

const FAINT = 6; // of 255 levels: fainter curves are not drawn

/** The `count` heaviest cells or fewer, heaviest first, as indices into `weights`; cells under 2 % of `top` are left out. */
export function heaviest(weights, top, count) {
  const bins = new Uint32Array(256);
  const level = (weight) => Math.min(255, Math.floor((255 * weight) / top));
  const least = (FAINT * top) / 256; // most weights are below it, and a comparison is quicker than a level
  for (let i = 0; i < weights.length; i++) if (weights[i] >= least) bins[level(weights[i])] += 1;
  let [bin, kept] = [255, 0];
  while (bin >= FAINT && kept + bins[bin] <= count) kept += bins[bin--];
  const found = [];
  for (let i = 0; i < weights.length; i++) if (weights[i] >= least && level(weights[i]) > bin) found.push(i);
  return found.sort((a, b) => weights[b] - weights[a]);
}

/**
 * {range, clipped}: where the colour scale ends. It is the largest weight, or, among more than 2000, the one that 0.3 %
 * exceed, lest a single bright cell leave all others dark; rounded up to 1, 0.5, 0.2, 0.1, 0.05 …
 */
export function scaleTop(weights) {
  const bins = new Uint32Array(1001);
  let seen = 0;
  for (let i = 0; i < weights.length; i++) {
    if (!(weights[i] > 0)) continue; // zero, or NaN where nothing may be seen
    bins[Math.ceil(weights[i] * 1000)] += 1;
    seen += 1;
  }
  let [bin, above] = [1000, 0];
  const allowed = seen > 2000 ? seen * 0.003 : 0;
  while (bin > 1 && above + bins[bin] <= allowed) above += bins[bin--];
  const range = roundUp(bin / 1000);
  return { range, clipped: bins.subarray(Math.floor(range * 1000) + 1).some(Boolean) };
}

/** The smallest of 1, 0.5, 0.2, 0.1, 0.05 … that is no less than `value`: a colour scale that does not flicker. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
  return Math.min(
    1,
    [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= value * 0.9999),
  );
}
