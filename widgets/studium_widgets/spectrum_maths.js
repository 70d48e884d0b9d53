// Singular values by Jacobi, the best product of each rank, and what a cut keeps: pure functions, no DOM.
// A matrix is a flat array in row order. Singular vectors are rows: u[k * rows + i], v[k * columns + j].

const EPSILON = 2 ** -52;
const SWEEPS = 40; // 64 × 64 takes about 8

/**
 * Thin SVD by one-sided Jacobi rotations (Hestenes 1958): {u, s, v}, data[i, j] = Σₖ s[k] u[k, i] v[k, j], s falling.
 * Where s[k] is zero to rounding, it is 0 and the longer side's singular vector is a row of zeros.
 * @param {ArrayLike<number>} data
 * @param {number} rows
 * @param {number} columns
 * @returns {{u: Float64Array, s: Float64Array, v: Float64Array}}
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
/**
 * @param {Float64Array} sides
 * @param {Float64Array} turns
 * @param {number} rows
 * @param {number} columns
 * @param {number} floor
 */
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

/**
 * @param {Float64Array} data
 * @param {number} p
 * @param {number} q
 * @param {number} length
 * @param {number} cosine
 * @param {number} sine
 */
function turn(data, p, q, length, cosine, sine) {
  for (let i = 0; i < length; i++) {
    const [x, y] = [data[p + i], data[q + i]];
    data[p + i] = cosine * x - sine * y;
    data[q + i] = sine * x + cosine * y;
  }
}

/**
 * @param {Float64Array} sides
 * @param {Float64Array} turns
 * @param {number} rows
 * @param {number} columns
 * @param {number} floor
 */
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

/**
 * @param {ArrayLike<number>} data
 * @param {number} rows
 * @param {number} columns
 */
function transposed(data, rows, columns) {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j];
  return out;
}

/** @param {number} size */
function identity(size) {
  const out = new Float64Array(size * size);
  for (let i = 0; i < size; i++) out[i * size + i] = 1;
  return out;
}

/**
 * The inner product of `length` numbers of `a` from `p` on and of `b` from `q` on.
 * @param {ArrayLike<number>} a
 * @param {number} p
 * @param {ArrayLike<number>} b
 * @param {number} q
 * @param {number} length
 */
export function dot(a, p, b, q, length) {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[p + i] * b[q + i];
  return sum;
}

/**
 * Σ_{i>r} s_i² for r = 0 … s.length: what no rank r can reach (Eckart and Young 1936).
 * @param {ArrayLike<number>} s
 */
export function tailEnergies(s) {
  const tails = new Float64Array(s.length + 1);
  for (let r = s.length - 1; r >= 0; r--) tails[r] = tails[r + 1] + s[r] ** 2;
  return tails;
}

/**
 * Turns `product`, the best one of rank `from`, into the best one of rank `to`: one outer product a step.
 * @param {Float64Array} product
 * @param {{u: ArrayLike<number>, s: ArrayLike<number>, v: ArrayLike<number>}} factors
 * @param {number} rows
 * @param {number} columns
 * @param {number} from
 * @param {number} to
 */
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

/**
 * Sum of squares.
 * @param {ArrayLike<number>} data
 */
export const energy = (data) => dot(data, 0, data, 0, data.length);

/**
 * {data, means}: the matrix less the mean of each column, and those means.
 * @param {ArrayLike<number>} data
 * @param {number} rows
 * @param {number} columns
 */
export function centred(data, rows, columns) {
  const means = new Float64Array(columns);
  for (let at = 0; at < data.length; at++) means[at % columns] += data[at] / rows;
  return { data: Float64Array.from(data, (value, at) => value - means[at % columns]), means };
}

/**
 * The smallest cut that keeps `share` of the sum of `weights`, which fall.
 * @param {Iterable<number> & ArrayLike<number>} weights
 * @param {number} share
 */
export function cutFor(weights, share) {
  let [total, kept, cut] = [0, 0, 0];
  for (const weight of weights) total += weight;
  while (cut < weights.length && kept < share * total * (1 - 1e-12)) kept += weights[cut++];
  return cut;
}
