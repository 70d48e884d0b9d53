// Singular values, planted updates and the cost of an adapter: pure functions, no DOM.
// A matrix is a flat array in row order. Singular vectors are rows: u[k * rows + i], v[k * columns + j].

const EPSILON = 2 ** -52;
const SWEEPS = 40; // 64 × 64 takes about 8

/**
 * Thin SVD by one-sided Jacobi rotations (Hestenes 1958): {u, s, v}, data[i, j] = Σₖ s[k] u[k, i] v[k, j], s falling.
 * Where s[k] is zero to rounding, it is 0 and the longer side's singular vector is a row of zeros.
 */
export function svd(data, rows, columns) {
  if (rows < columns) {
    const { u, s, v } = svd(transposed(data, rows, columns), columns, rows);
    return { u: v, s, v: u };
  }
  const sides = transposed(data, rows, columns); // row k is column k of the matrix: rotated until all are orthogonal
  const turns = identity(columns);
  const floor = (EPSILON * columns) ** 2 * dot(sides, 0, sides, 0, sides.length);
  for (let sweep = 0; sweep < SWEEPS && turnAll(sides, turns, rows, columns, floor); sweep++);
  return sorted(sides, turns, rows, columns, Math.sqrt(floor));
}

// One rotation for each pair of columns that is not yet orthogonal; false when there was none.
function turnAll(sides, turns, rows, columns, floor) {
  let turned = false;
  for (let p = 0; p < columns - 1; p++) {
    for (let q = p + 1; q < columns; q++) {
      const [a, b] = [dot(sides, p * rows, sides, p * rows, rows), dot(sides, q * rows, sides, q * rows, rows)];
      const c = dot(sides, p * rows, sides, q * rows, rows);
      if (a <= floor || b <= floor || Math.abs(c) <= 8 * EPSILON * Math.sqrt(a * b)) continue;
      const zeta = (b - a) / (2 * c);
      const tangent = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
      const cosine = 1 / Math.hypot(1, tangent);
      turn(sides, p * rows, q * rows, rows, cosine, cosine * tangent);
      turn(turns, p * columns, q * columns, columns, cosine, cosine * tangent);
      turned = true;
    }
  }
  return turned;
}

function turn(data, p, q, length, cosine, sine) {
  for (let i = 0; i < length; i++) {
    const [x, y] = [data[p + i], data[q + i]];
    data[p + i] = cosine * x - sine * y;
    data[q + i] = sine * x + cosine * y;
  }
}

function sorted(sides, turns, rows, columns, floor) {
  const sizes = Array.from({ length: columns }, (_, k) => Math.sqrt(dot(sides, k * rows, sides, k * rows, rows)));
  const order = sizes.map((_, k) => k).sort((a, b) => sizes[b] - sizes[a]);
  const [u, v] = [new Float64Array(columns * rows), new Float64Array(columns * columns)];
  const s = Float64Array.from(order, (k) => (sizes[k] > floor ? sizes[k] : 0));
  order.forEach((from, k) => {
    for (let i = 0; s[k] && i < rows; i++) u[k * rows + i] = sides[from * rows + i] / s[k];
    v.set(turns.subarray(from * columns, (from + 1) * columns), k * columns);
  });
  return { u, s, v };
}

function transposed(data, rows, columns) {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j];
  return out;
}

function identity(size) {
  const out = new Float64Array(size * size);
  for (let i = 0; i < size; i++) out[i * size + i] = 1;
  return out;
}

function dot(a, p, b, q, length) {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[p + i] * b[q + i];
  return sum;
}

/** Σ_{i>r} s_i² for r = 0 … s.length: what no rank r can reach (Eckart and Young 1936). */
export function tailEnergies(s) {
  const tails = new Float64Array(s.length + 1);
  for (let r = s.length - 1; r >= 0; r--) tails[r] = tails[r + 1] + s[r] ** 2;
  return tails;
}

/** Turns `product`, the best one of rank `from`, into the best one of rank `to`: one outer product a step. */
export function moveRank(product, { u, s, v }, rows, columns, from, to) {
  const sign = to > from ? 1 : -1;
  for (let k = Math.min(from, to); k < Math.max(from, to); k++) {
    for (let i = 0; i < rows; i++) {
      const weight = sign * s[k] * u[k * rows + i];
      for (let j = 0, at = i * columns; j < columns; j++) product[at + j] += weight * v[k * columns + j];
    }
  }
  return product;
}

/** Sum of squares. */
export const energy = (data) => dot(data, 0, data, 0, data.length);

/** Numbers in [0, 1) that are the same in every browser for the same seed: splitmix in 32 bits. */
export function uniform(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers from a seed, by Box and Muller. */
export function normal(seed) {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

export const SIZE = 64; // rows and columns of a built-in update

/** Singular values of the built-in updates by name; rank_explorer.py has the same formulas. */
export const SPECTRA = {
  decaying: (i) => 4 * 0.7 ** i,
  low_rank: (i) => (i < 4 ? 4 - 0.8 * i : 0),
  noisy: (i) => (i < 4 ? 4 - 0.8 * i : 0.4),
  flat: () => 1,
};

/** The built-in update `name`: random singular vectors, smooth for the large values and rough for the small ones. */
export function planted(name, seed = 1) {
  const s = Float64Array.from({ length: SIZE }, (_, i) => SPECTRA[name](i));
  const factors = { u: smoothBasis(SIZE, seed), s, v: smoothBasis(SIZE, seed + 1) };
  return moveRank(new Float64Array(SIZE * SIZE), factors, SIZE, SIZE, 0, SIZE);
}

/** `size` orthonormal random vectors as rows, the k-th made of cosines up to about frequency k. */
export function smoothBasis(size, seed) {
  const next = normal(seed);
  const basis = new Float64Array(size * size);
  for (let k = 0; k < size; k++) {
    for (let f = 0; f < size; f++) {
      const weight = next() * Math.exp(-((f / (k + 3)) ** 2));
      for (let i = 0; i < size; i++) basis[k * size + i] += weight * Math.cos((Math.PI * f * (i + 0.5)) / size);
    }
    orthonormalise(basis, k, size);
  }
  return basis;
}

// Gram and Schmidt, twice, since once loses digits between smooth vectors.
function orthonormalise(basis, k, size) {
  const at = k * size;
  for (let pass = 0; pass < 2; pass++) {
    for (let other = 0; other < at; other += size) {
      const share = dot(basis, at, basis, other, size);
      for (let i = 0; i < size; i++) basis[at + i] -= share * basis[other + i];
    }
    const length = Math.sqrt(dot(basis, at, basis, at, size));
    for (let i = 0; i < size; i++) basis[at + i] /= length;
  }
}

/** Shapes of decoders of about the named number of parameters. 175B is GPT-3 (Brown et al. 2020, table 2.1). */
export const MODELS = {
  "1B": { parameters: 1e9, layers: 16, width: 2048 },
  "7B": { parameters: 7e9, layers: 32, width: 4096 },
  "70B": { parameters: 70e9, layers: 80, width: 8192 },
  "175B": { parameters: 175e9, layers: 96, width: 12288 },
};

/** Numbers in A and B where the query and value weights (width × width) of each layer get an adapter of rank r. */
export const adapterSize = ({ layers, width }, rank) => 2 * layers * rank * (width + width);

/** Bytes to train: `bytes` for each weight and for each trained gradient, 4 + 4 for Adam's two moments of it. */
export const trainingBytes = (parameters, trained, bytes) => ({
  weights: bytes * parameters,
  gradients: bytes * trained,
  adam: 8 * trained,
});

/** Floating-point operations for one token: 2 for each weight. `down` is x Aᵀ, `up` is (x Aᵀ) Bᵀ. */
export const flops = (rows, columns, rank) => ({ base: 2 * rows * columns, down: 2 * rank * columns, up: 2 * rank * rows });
