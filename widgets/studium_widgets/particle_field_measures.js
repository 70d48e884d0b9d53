// What a cloud of particles is worth: its share of each group, its spread, its distance to the exact density. No DOM.
import { groupAt } from "./particle_field_maths.js";

/** The fraction of the points (N, 2) in each group of the field, (G,); points that are not numbers are passed over. */
export function shares(field, level, points) {
  const found = new Float64Array(field.tables.length);
  let n = 0;
  for (let p = 0; p < points.length; p += 2) {
    if (Number.isNaN(points[p])) continue;
    found[groupAt(field, level, points[p], points[p + 1])] += 1;
    n += 1;
  }
  return found.map((count) => count / (n || 1));
}

/** {radius, spread}: the mean distance from the origin, and the trace of the covariance, of points as in `shares`. */
export function moments(points) {
  let [n, radius, sx, sy, square] = [0, 0, 0, 0, 0];
  for (let p = 0; p < points.length; p += 2) {
    const [x, y] = [points[p], points[p + 1]];
    if (Number.isNaN(x)) continue;
    n += 1;
    radius += Math.sqrt(x * x + y * y);
    sx += x;
    sy += y;
    square += x * x + y * y;
  }
  return { radius: radius / n, spread: square / n - (sx / n) ** 2 - (sy / n) ** 2 };
}

/** 2 E|a − b| − E|a − a'| − E|b − b'| between two clouds (N, 2), (M, 2), all pairs counted: 0 for the same cloud. */
export function energyDistance(a, b) {
  return 2 * meanDistance(a, b) - meanDistance(a, a) - meanDistance(b, b);
}

function meanDistance(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i += 2) {
    for (let j = 0; j < b.length; j += 2) sum += Math.sqrt((a[i] - b[j]) ** 2 + (a[i + 1] - b[j + 1]) ** 2);
  }
  return (4 * sum) / (a.length * b.length);
}
