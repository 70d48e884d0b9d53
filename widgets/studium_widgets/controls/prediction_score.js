// How near a prediction came to the truth: numbers alone, no DOM.

/**
 * {score, distance, worst, rises}: `score` from 0 to 100 is what the mean distance leaves of the truth's own spread;
 * a truth that is nearly flat counts as a tenth of `range` = [low, high], the axis. With `log`, distances are decades.
 * `distance`: the mean one, in units of y (a factor with `log`). `worst`: the index furthest off. `rises`: [predicted, true],
 * −1, 0 or 1 each: whether the last tenth lies below or above the first by more than a twentieth of the spread.
 */
export function judge(predicted, truth, [low, high], log = false) {
  const scale = log ? Math.log10 : Number;
  const [p, t] = [Array.from(predicted, scale), Array.from(truth, scale)];
  const gaps = p.map((value, i) => Math.abs(value - t[i]));
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const spread = Math.max(Math.max(...t) - Math.min(...t), 0.1 * (scale(high) - scale(low)));
  return {
    score: Math.round(100 * Math.max(0, 1 - mean / spread)),
    distance: log ? 10 ** mean : mean,
    worst: gaps.indexOf(Math.max(...gaps)),
    rises: [direction(p, spread), direction(t, spread)],
  };
}

function direction(values, spread) {
  const end = Math.max(1, Math.round(values.length / 10));
  const mean = (part) => part.reduce((sum, value) => sum + value, 0) / part.length;
  const change = mean(values.slice(-end)) - mean(values.slice(0, end));
  return Math.abs(change) <= spread / 20 ? 0 : Math.sign(change);
}

/** {right, pairs}: how many pairs that differ in truth are in the same order in the prediction (a tie is not). */
export function ordered(predicted, truth) {
  let [right, pairs] = [0, 0];
  for (let i = 0; i < truth.length; i++) {
    for (let j = 0; j < i; j++) {
      if (truth[i] === truth[j]) continue;
      pairs += 1;
      if (Math.sign(predicted[i] - predicted[j]) === Math.sign(truth[i] - truth[j])) right += 1;
    }
  }
  return { right, pairs };
}

/** `values` with `value` put in at `to`, and what lies between `from` and `to` filled by a straight line. */
export function drawn(values, from, to, value) {
  const next = Array.from(values);
  const start = from < 0 || next[from] == null ? to : from;
  const step = Math.sign(to - start);
  const first = start === to ? value : next[start];
  for (let i = start; step && i !== to; i += step) next[i] = first + ((value - first) * (i - start)) / (to - start);
  next[to] = value;
  return next;
}

/** `values` whose ends are filled by the nearest value, where a tenth of the points at most is missing there. */
export function extended(values) {
  const known = Array.from(values, (value) => value != null);
  const [first, last] = [known.indexOf(true), known.lastIndexOf(true)];
  const most = values.length / 10;
  return Array.from(values, (value, i) => {
    if (i < first && first <= most) return values[first];
    return first >= 0 && i > last && values.length - 1 - last <= most ? values[last] : value;
  });
}
