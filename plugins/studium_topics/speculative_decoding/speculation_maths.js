// Speculative decoding for tables of word pairs, as arithmetic on plain arrays: no DOM. A table has `size` rows of `size`
// numbers; `models` are {size, target, draft}, where `draft` is mixed already (see `mixed`).
import { uniforms } from "studium_widgets/random.js";

/** What can be done wrong, by name: what it is called, and what it does. */
export const MISTAKES = {
  none: ["None: correct code", "Agreement and length change the speed alone. The distance from the target stays 0."],
  "replaced-from-target": [
    "replacement from the target",
    "Words that the draft likes too much come out too often: they may be kept, and may come back as the replacement.",
  ],
  "kept-always": ["every draft kept", "Now the draft writes, and the target adds one word a pass."],
  "ratio-upside-down": ["kept with q / p", "Just the words that the draft likes too much are always kept."],
};

/** The draft at an agreement of `share`: share · target + (1 − share) · draft; what it lacks is shared the same way. */
export const mixed = ({ target, draft }, share) => target.map((p, i) => share * p + (1 - share) * draft[i]);

/** All the weight of each row on its largest entry, the first of equals. */
export function certain(table, size) {
  const out = new Float64Array(table.length);
  for (let row = 0; row < size; row++) out[row * size + likeliest(table, size, row)] = 1;
  return out;
}

/** The probability that a drafted word is kept. */
export function bar(p, q, mistake = "none") {
  if (mistake === "kept-always") return 1;
  if (mistake === "ratio-upside-down") return p > 0 ? Math.min(1, q / p) : 1;
  return Math.min(1, p / q);
}

/** What a rejected word is replaced from, (size,): max(0, p − q), which sums to 1; p itself where it would be empty. */
export function replacement(p, q, mistake = "none") {
  if (mistake === "replaced-from-target") return p;
  const rest = p.map((value, i) => Math.max(0, value - q[i]));
  const total = rest.reduce((before, value) => before + value, 0);
  return total > 0 ? rest.map((value) => value / total) : p;
}

/**
 * `turns` passes behind `prompt`, each {before, drafted, last}. before: the length of the text; drafted: [{token, p, q,
 * bar, needle, fate}] with fate "kept", "rejected" or "unseen"; last: {token, kind}, "replacement" or "bonus".
 */
export function passes(models, prompt, { gamma, turns, seed, mistake }) {
  const next = uniforms(seed + 1);
  const text = [...prompt];
  return Array.from({ length: turns }, () => {
    const found = onePass(models, text, gamma, mistake, next);
    found.drafted.filter(({ fate }) => fate === "kept").forEach(({ token }) => text.push(token));
    text.push(found.last.token);
    return found;
  });
}

function onePass({ size, target, draft }, text, gamma, mistake, next) {
  const row = (table, token) => table.slice(token * size, (token + 1) * size);
  const before = text.length;
  const drafted = [];
  for (let token = text[before - 1]; drafted.length < gamma; ) {
    const [p, q] = [row(target, token), row(draft, token)];
    token = pick(q, next());
    drafted.push({
      token,
      p: p[token],
      q: q[token],
      bar: bar(p[token], q[token], mistake),
      needle: next(),
      rows: [p, q],
      fate: "unseen",
    });
  }
  for (const one of drafted) {
    one.fate = one.needle <= one.bar ? "kept" : "rejected";
    if (one.fate === "rejected")
      return { before, drafted, last: { token: pick(replacement(...one.rows, mistake), next()), kind: "replacement" } };
  }
  return { before, drafted, last: { token: pick(row(target, drafted[gamma - 1].token), next()), kind: "bonus" } };
}

/** {perPass, share}: over many passes, the words that a pass adds, and the share that is kept of the drafts looked at. */
export function measured(models, prompt, settings) {
  const found = passes(models, prompt, settings);
  const kept = found.map(({ drafted }) => drafted.filter(({ fate }) => fate === "kept").length);
  const total = kept.reduce((before, count) => before + count, 0);
  const seen = kept.reduce((before, count) => before + Math.min(count + 1, settings.gamma), 0);
  return { perPass: 1 + total / kept.length, share: total / seen };
}

/** Words that a pass adds on average where each draft is kept with probability `share`. */
export function expected(share, gamma) {
  let sum = 1;
  for (let k = 1; k <= gamma; k++) sum += share ** k;
  return sum;
}

/** The total variation distance between one checked word and the target's, the mean over all rows: 0 is exact. */
export function distance({ size, target, draft }, mistake) {
  let total = 0;
  for (let row = 0; row < size; row++) {
    const [p, q] = [target, draft].map((table) => table.slice(row * size, (row + 1) * size));
    const kept = q.map((value, i) => (value > 0 ? value * bar(p[i], value, mistake) : 0));
    const rejected = 1 - kept.reduce((before, value) => before + value, 0);
    const again = replacement(p, q, mistake);
    total += p.reduce((before, value, i) => before + Math.abs(kept[i] + rejected * again[i] - value), 0) / 2;
  }
  return total / size;
}

function pick(weights, u) {
  let rest = u;
  let last = 0;
  for (let token = 0; token < weights.length; token++) {
    if (weights[token] > 0) {
      last = token;
      rest -= weights[token];
      if (rest <= 0) return token;
    }
  }
  return last;
}

function likeliest(table, size, row) {
  let best = 0;
  for (let token = 1; token < size; token++) if (table[row * size + token] > table[row * size + best]) best = token;
  return best;
}
