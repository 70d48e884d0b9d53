// What the two lanes write, what they compute, and what can go wrong with a cache: no DOM. `weights` are those of a TinyLM
// (kits/tiny_lm.js).
import { emptyCache, read } from "../kits/tiny_lm.js";

/** What can go wrong, by name: what it is called, and what it does. */
export const FAULTS = {
  nothing: ["None: correct code", "Every token is the same: a cache changes the work, not the result."],
  positions: [
    "positions start again",
    "Each new token says that it stands at the beginning; its distance to all that came before is wrong.",
  ],
  "top-left": [
    "mask at the top left",
    "The one new query is taken for the first: it sees the oldest key alone. This is is_causal=True with a cache.",
  ],
  stale: [
    "the last text left in",
    "The cache was not emptied: the model reads this text as if another one stood before it.",
  ],
};

/** `count` greedy tokens behind `prompt`, reading everything anew for each. */
export function without(weights, prompt, count) {
  const text = [...prompt];
  for (let i = 0; i < count; i++) text.push(last(weights, read(weights, emptyCache(weights, text.length), text)));
  return text.slice(prompt.length);
}

/** `count` greedy tokens behind `prompt` through a cache, with something wrong. */
export function through(weights, prompt, count, fault = "nothing") {
  const cache = emptyCache(weights, 2 * prompt.length + count);
  if (fault === "stale") read(weights, cache, [...prompt].reverse());
  const found = [last(weights, read(weights, cache, prompt, fault))];
  while (found.length < count) found.push(last(weights, read(weights, cache, found.slice(-1), fault)));
  return found;
}

/** Floating-point operations of the first `passes` passes behind a prompt, as `decode_flops` counts them. */
export function work({ width, hidden, layers, tokens }, prompt, passes, cached) {
  const matrices = layers * (4 * width * width + 2 * width * hidden) + tokens * width;
  let total = 0;
  for (let pass = 0; pass < passes; pass++) {
    const seen = prompt + pass;
    const fresh = cached && pass ? 1 : seen;
    total += 2 * fresh * matrices + layers * 4 * fresh * seen * width;
  }
  return total;
}

/** Bytes of keys and values of `count` tokens in float32. */
export const bytes = ({ layers, width }, count) => 2 * layers * width * count * 4;

/** Which token each pass computes: passes × columns of 0 not there, `again`, `kept` or 1 computed for the first time. */
export function lane(prompt, passes, shown, cached, { again, kept }) {
  const columns = prompt + passes - 1;
  const data = new Float32Array(passes * columns);
  for (let pass = 0; pass < shown; pass++) {
    for (let token = 0; token < prompt + pass; token++) {
      const first = pass ? token === prompt + pass - 1 : true;
      data[pass * columns + token] = first ? 1 : cached ? kept : again;
    }
  }
  return { data, rows: passes, columns };
}

function last({ tokens }, logits) {
  const from = logits.length - tokens;
  let best = 0;
  for (let token = 1; token < tokens; token++) if (logits[from + token] > logits[from + best]) best = token;
  return best;
}
