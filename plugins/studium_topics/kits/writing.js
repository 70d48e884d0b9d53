// A text that a TinyLM writes character by character, with a cache or without one: no DOM.
import { pick, score, softmax } from "studium_widgets/token_strip_maths.js";
import { draw, row } from "studium_widgets/token_strip_model.js";
import { emptyCache, read } from "./tiny_lm.js";

const START = "\n\n"; // what stands before every text of the corpus
const REPEATED = 40; // characters that must have occurred before, to be called a repetition

/** The numbers of the characters that a text begins with, the hidden start and then those of `prompt` that are known. */
export function idsOf(prompt, characters) {
  return Array.from(START + prompt, (character) => characters.indexOf(character)).filter((id) => id >= 0);
}

/** How many of the numbers of `idsOf` stand for the hidden start. */
export const HIDDEN = START.length;

/** The choice of the next character from its logits: {here, u, token}, with `here` as in the token strip. */
export function chosen(logits, at, { temperature, topK, seed }) {
  const here = row(logits, logits.length, 0, temperature, topK, 1, 0);
  const u = draw(seed, at);
  return { here, u, token: pick(here.q, here.rank, u) };
}

/**
 * A pen that writes `count` characters behind `start`: {start, written, rows, costs, advance(), done()}. `written` are the
 * characters' numbers, `rows` the logits from which each was chosen, `costs` the multiplications that each took.
 * `advance()` reads `chunk` characters at most and says whether one was written. `choose(logits, at)` gives the next one.
 * With `keep` false the cache is emptied after each character, so that all is read again.
 */
export function pen(weights, { start, count, choose, keep = true, chunk = Infinity }) {
  const cache = emptyCache(weights, start.length + count);
  const text = [...start];
  const made = { start, written: [], rows: [], costs: [] };
  const advance = () => {
    const logits = read(weights, cache, text.slice(cache.length, cache.length + chunk));
    if (cache.length < text.length) return false;
    const last = logits.slice(-weights.tokens);
    made.rows.push(last);
    made.costs.push(cache.multiplied);
    made.written.push(choose(last, text.length));
    text.push(made.written.at(-1));
    Object.assign(cache, { multiplied: 0, length: keep ? cache.length : 0 });
    return true;
  };
  return { ...made, advance, done: () => made.written.length >= count };
}

/** The probability that the model itself gave to each of the first `count` characters, at temperature 1. */
export function confidence({ rows, written }, count) {
  return Float64Array.from(written.slice(0, count), (token, i) => softmax(rows[i])[token]);
}

/** Among how many equally likely characters the model hesitated on average, of those probabilities. */
export const perplexity = (probabilities) => score(probabilities, probabilities.length).perplexity;

/** How many of the last characters of a text occurred before in the same order; 0 where they are few. */
export function repeated(text) {
  let length = 0;
  while (length < text.length && text.slice(0, -1).includes(text.slice(text.length - length - 1))) length += 1;
  return length < REPEATED ? 0 : length;
}

/** The multiplications of reading the last `fresh` of `seen` tokens, as `read` counts them. */
export function multiplications({ width, hidden, layers, tokens }, seen, fresh) {
  const matrices = layers * (4 * width * width + 2 * width * hidden) + tokens * width;
  const pairs = (fresh * (2 * seen - fresh + 1)) / 2; // of a query and a key that it sees
  return fresh * matrices + 2 * layers * width * pairs;
}
