// Axis maths: no DOM.

/** Round numbers from `low` to `high`, about `count` of them. */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Powers of ten from `low` to `high`, thinned to about `count`; with fewer than two, twice and five times them join in. */
export function logTicks(low, high, count = 5) {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first + 1) / count));
  const powers = [];
  for (let power = first; power <= last; power += every) powers.push(10 ** power);
  if (powers.length > 1) return powers;
  const fine = [first - 1, first, first + 1].flatMap((power) => [1, 2, 5].map((factor) => factor * 10 ** power));
  const inside = fine.filter((value) => value >= low * 0.9999 && value <= high * 1.0001);
  return inside.length > 1 ? inside : [low, high];
}

/** A number as short text: 0.25, 1,200, 3e-5. */
export function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6)
    return value.toExponential(Number.isInteger(Math.log10(size)) ? 0 : 1).replace("e+", "e");
  return (
    size >= 1000 ? Number(value.toPrecision(6)).toLocaleString("en") : String(Number(value.toPrecision(4)))
  ).replace("-", "−");
}

/** [smallest, largest] over several arrays; numbers that are not finite are passed over. */
export function extent(arrays) {
  let [low, high] = [Infinity, -Infinity];
  for (const array of arrays) {
    for (const value of array) {
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low > high ? [0, 1] : [low, high];
}
