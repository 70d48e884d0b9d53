// Planted updates and the cost of an adapter: pure functions, no DOM.
// A matrix is a flat array in row order.
import { dot, moveRank } from "./spectrum_maths.js";

/**
 * Numbers in [0, 1) that are the same in every browser for the same seed: splitmix in 32 bits.
 * @param {number} seed
 * @returns {() => number}
 */
export function uniform(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/**
 * Standard normal numbers from a seed, by Box and Muller.
 * @param {number} seed
 * @returns {() => number}
 */
export function normal(seed) {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

export const SIZE = 64; // rows and columns of a built-in update

/**
 * Singular values of the built-in updates by name; rank_explorer.py has the same formulas.
 * @type {Record<string, (i: number) => number>}
 */
export const SPECTRA = {
  decaying: (i) => 4 * 0.7 ** i,
  low_rank: (i) => (i < 4 ? 4 - 0.8 * i : 0),
  noisy: (i) => (i < 4 ? 4 - 0.8 * i : 0.4),
  flat: () => 1,
};

/**
 * The built-in update `name`: random singular vectors, smooth for the large values and rough for the small ones.
 * @param {string} name
 */
export function planted(name, seed = 1) {
  const s = Float64Array.from({ length: SIZE }, (_, i) => SPECTRA[name](i));
  const factors = { u: smoothBasis(SIZE, seed), s, v: smoothBasis(SIZE, seed + 1) };
  return moveRank(new Float64Array(SIZE * SIZE), factors, SIZE, SIZE, 0, SIZE);
}

/**
 * `size` orthonormal random vectors as rows, the k-th made of cosines up to about frequency k.
 * @param {number} size
 * @param {number} seed
 */
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
/**
 * @param {Float64Array} basis
 * @param {number} k
 * @param {number} size
 */
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

/**
 * Floating-point operations for one token: 2 for each weight. `down` is x Aᵀ, `up` is (x Aᵀ) Bᵀ.
 * @param {number} rows
 * @param {number} columns
 * @param {number} rank
 */
export const flops = (rows, columns, rank) => ({
  base: 2 * rows * columns,
  down: 2 * rank * columns,
  up: 2 * rank * rows,
});
