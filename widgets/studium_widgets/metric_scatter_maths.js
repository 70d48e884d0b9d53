// Which points are shown, and which of them no other beats. No DOM.

/**
 * @param {unknown} value
 * @returns {value is number}
 */
export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * The points that have both figures and pass the filters: `hidden` {field: [value, …]}, `limits` {field: most}.
 * @param {Record<string, any>[]} points
 * @param {{x: string, y: string, hidden: Record<string, string[]>, limits: Record<string, number>}} options
 */
export function passing(points, { x, y, hidden, limits }) {
  const out = (/** @type {Record<string, any>} */ point) =>
    Object.entries(hidden).some(([field, values]) => values.includes(String(point[field] ?? "")));
  const over = (/** @type {Record<string, any>} */ point) =>
    Object.entries(limits).some(([field, most]) => isNumber(point[field]) && point[field] > most);
  return points.filter((point) => isNumber(point[x]) && isNumber(point[y]) && !out(point) && !over(point));
}

/**
 * The points that no other beats: none is at least as good in both and better in one. Sorted by x.
 * `lower`: {x, y}, true where less is better. Points that are equal in both stay together.
 * @param {Record<string, any>[]} points
 * @param {{x: string, y: string, lower: {x: boolean, y: boolean}}} options
 */
export function front(points, { x, y, lower }) {
  const [a, b] = [lower.x ? 1 : -1, lower.y ? 1 : -1];
  const sorted = [...points].sort((p, q) => a * (p[x] - q[x]) || b * (p[y] - q[y]));
  const kept = /** @type {typeof points} */ ([]);
  for (const point of sorted) {
    const last = kept.at(-1);
    const same = last && last[x] === point[x] && last[y] === point[y];
    if (!last || same || b * (point[y] - last[y]) < 0) kept.push(point);
  }
  return kept.sort((p, q) => p[x] - q[x]);
}

/**
 * The corners of the front [{x, y}, …], sorted by x: what lies behind them is beaten. `lower`: less x is better.
 * @param {{x: number, y: number}[]} points
 * @param {boolean} lower
 */
export function stairs(points, lower) {
  const corner = (/** @type {typeof points[0]} */ from, /** @type {typeof points[0]} */ to) =>
    lower ? { x: to.x, y: from.y } : { x: from.x, y: to.y };
  return points.flatMap((point, i) => (i ? [corner(points[i - 1], point), point] : [point]));
}

/**
 * The distinct values of a field as text, in the order of their first appearance.
 * @param {Record<string, any>[]} points
 * @param {string} field
 * @returns {string[]}
 */
export const distinct = (points, field) => [...new Set(points.map((point) => String(point[field] ?? "")))];

/**
 * The stops of a limit: for each value the roundest number that lets it pass and not the next larger one.
 * @param {number[]} values
 */
export function stops(values) {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  return sorted.map((value, i) => roundest(value, sorted[i + 1] ?? Infinity));
}

/**
 * @param {number} from
 * @param {number} below
 */
function roundest(from, below) {
  for (let digits = 0; digits < 12; digits++) {
    const candidate = Math.ceil(from * 10 ** digits) / 10 ** digits;
    if (candidate < below) return candidate;
  }
  return from;
}
