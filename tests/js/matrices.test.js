import assert from "node:assert/strict";
import { test } from "node:test";
import { normals, uniforms } from "studium_widgets/random.js";
import { centred, cutFor, dot, energy, moveRank, svd, tailEnergies } from "studium_widgets/spectrum_maths.js";

const close = (actual, expected, margin = 1e-9) =>
  assert.ok(Math.abs(actual - expected) < margin, `${actual} is not ${expected}`);
const matrix = (rows, columns) => Float64Array.from(normals(7, 0, rows * columns));

for (const [rows, columns] of [
  [6, 4],
  [4, 6],
  [5, 5],
]) {
  test(`the singular values and vectors of a ${rows} × ${columns} matrix multiply to it`, () => {
    const data = matrix(rows, columns);
    const parts = svd(data, rows, columns);
    const product = moveRank(new Float64Array(rows * columns), parts, rows, columns, 0, parts.s.length);
    product.forEach((value, i) => close(value, data[i]));
  });
}

test("singular values fall, and their squares sum to the energy of the matrix", () => {
  const data = matrix(6, 4);
  const { s } = svd(data, 6, 4);
  assert.deepEqual(
    [...s],
    [...s].sort((a, b) => b - a),
  );
  close(energy(s), energy(data));
  close(tailEnergies(s)[0], energy(data));
});

test("singular vectors are orthogonal and have length one", () => {
  const { v } = svd(matrix(6, 4), 6, 4);
  for (let p = 0; p < 4; p++) for (let q = 0; q < 4; q++) close(dot(v, 4 * p, v, 4 * q, 4), Number(p === q));
});

test("the zeros of a matrix of rank one are exact", () => {
  const { s } = svd(Float64Array.of(1, 2, 2, 4, 3, 6), 3, 2);
  close(s[0], Math.sqrt(70));
  assert.equal(s[1], 0);
});

test("a centred matrix has columns whose mean is zero", () => {
  const { data, means } = centred([1, 10, 3, 20], 2, 2);
  assert.deepEqual(
    [[...data], [...means]],
    [
      [-1, -5, 1, 5],
      [2, 15],
    ],
  );
});

test("a cut keeps as few weights as it can", () => {
  assert.equal(cutFor([5, 3, 1, 1], 0.8), 2);
  assert.equal(cutFor([5, 3, 1, 1], 0.81), 3);
});

test("a seed gives the same numbers each time, and another seed gives others", () => {
  const three = (seed) => Array.from({ length: 3 }, uniforms(seed));
  assert.deepEqual(three(1), three(1));
  assert.notDeepEqual(three(1), three(2));
});

test("ten thousand normal numbers have a mean near zero and a variance near one", () => {
  const numbers = normals(3, 0, 10_000);
  close(numbers.reduce((sum, x) => sum + x, 0) / numbers.length, 0, 0.05);
  close(energy(numbers) / numbers.length, 1, 0.05);
});
