// Span corruption of words: the mask, and what goes into inputs and targets. No DOM.
import { uniforms } from "studium_widgets/random.js";

/** The words of a text; two at least, for one is hidden and one is kept. */
export function wordsOf(text) {
  const words = text.split(/\s+/).filter(Boolean);
  return words.length > 1 ? words : [...words, "…", "…"].slice(0, 2);
}

/** Nearest whole number, halves to the even one, as Python's round has it. */
export function rounded(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/** [hidden tokens, spans] of a text. */
export function counts(length, density, mean) {
  const hidden = Math.min(Math.max(rounded(length * density), 1), length - 1);
  return [hidden, Math.min(Math.max(rounded(hidden / mean), 1), length - hidden)];
}

/** `parts` positive lengths that sum to `total`; each list of them is equally likely. */
export function lengths(total, parts, next) {
  const places = Array.from({ length: total - 1 }, (_, i) => i + 1);
  for (let i = places.length - 1; i > 0; i--) {
    const j = Math.min(i, Math.floor(next() * (i + 1)));
    [places[i], places[j]] = [places[j], places[i]];
  }
  const edges = [0, ...places.slice(0, parts - 1).sort((a, b) => a - b), total];
  return edges.slice(1).map((edge, i) => edge - edges[i]);
}

/** Which of `length` tokens are hidden: in spans of exact counts, or by a coin for each. */
export function mask(length, density, mean, seed, hiding) {
  const next = uniforms(seed);
  if (hiding === "coin") return Array.from({ length }, () => next() <= density);
  const [hidden, spans] = counts(length, density, mean);
  const kept = lengths(length - hidden, spans, next);
  const lost = lengths(hidden, spans, next);
  return kept.flatMap((count, i) => [...Array(count).fill(false), ...Array(lost[i]).fill(true)]);
}

/** For each word the number of its span, −1 where it is kept. */
export function spansOf(flags) {
  let span = -1;
  return flags.map((hidden, at) => {
    if (hidden && !flags[at - 1]) span++;
    return hidden ? span : -1;
  });
}

/** A sentinel's name: <X>, <Y>, <Z>, <A>, … */
export const sentinel = (span) =>
  `<${"XYZABCDEFGHIJKLMNOPQRSTUVW"[span % 26]}${span < 26 ? "" : Math.floor(span / 26)}>`;

/** {inputs, targets}: lists of {word, span, mark}; `mark` is true for sentinels and the end. */
export function corrupted(words, spans) {
  const [inputs, targets] = [[], []];
  words.forEach((word, at) => {
    const span = spans[at];
    if (span < 0) return inputs.push({ word, span, mark: false });
    if (spans[at - 1] !== span)
      [inputs, targets].forEach((side) => side.push({ word: sentinel(span), span, mark: true }));
    return targets.push({ word, span, mark: false });
  });
  const end = { word: "</s>", span: -1, mark: true };
  return { inputs: [...inputs, end], targets: [...targets, end] };
}
