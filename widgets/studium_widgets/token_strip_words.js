// The tokens of the strip, the table and the sentences.
import { visible } from "./controls/token_strip.js";
import { FILTERS } from "./token_strip_maths.js";

const SPOKEN = { kept: "accepted", cut: "rejected", late: "never looked at", new: "added by the target" };

/** A probability in per cent: 65 %, 2.6 %, <0.1 %. */
export const share = (p) =>
  p <= 0 ? "0 %" : p < 0.0005 ? "<0.1 %" : `${p < 0.0995 ? (100 * p).toFixed(1) : Math.round(100 * p)} %`;

export const number = (value) =>
  Number.isFinite(value)
    ? value >= 1e4
      ? value.toExponential(1).replace("e+", "e")
      : String(Number(value.toPrecision(3)))
    : "∞";

/** The text with the probability of each token; behind it what comes next, or what the target adds. */
export function items(ui, { vocabulary, ids, positions, probabilities, draft, position, token, here }) {
  const list = ids.map((id, t) => ({ text: vocabulary[id], share: probabilities[t], note: share(probabilities[t]) }));
  if (draft) return checked(list, vocabulary, draft);
  if (positions > ids.length) {
    const known = position === ids.length;
    list.push({
      text: known ? vocabulary[token] : "?",
      share: known ? here.q[token] : 0,
      note: known ? share(here.q[token]) : "next",
      mark: "new",
      spoken: "what comes next",
    });
  }
  return list;
}

function checked(list, vocabulary, { checked: { kept, token, bonus } }) {
  const mark = (t) => (t < kept ? "kept" : t === kept ? "cut" : "late");
  const marked = list.map((item, t) => ({ ...item, mark: mark(t), spoken: SPOKEN[mark(t)] }));
  if (token >= 0)
    marked.push({
      text: vocabulary[token],
      note: bonus ? "bonus" : `for ${kept + 1}`,
      mark: "new",
      spoken: SPOKEN.new,
    });
  return marked;
}

/** The encoder's tokens with the attention that the chosen token gives to each. */
export function sourceItems(ui, { position }) {
  const source = ui.get("source");
  const weights = ui.array("attention")?.data.subarray(position * source.length, (position + 1) * source.length);
  return source.map((text, s) => ({ text, share: weights?.[s] ?? 0, note: weights ? share(weights[s]) : "" }));
}

export function rowsOf({ vocabulary, here: { p, q, rank, cut }, draft }) {
  const rows = Array.from(rank.subarray(0, 50), (i) => [
    visible(vocabulary[i]),
    share(p[i]),
    share(q[i]),
    FILTERS[cut[i]],
  ]);
  if (!draft) return { columns: ["token", "probability", "after the filters", "filter"], rows };
  const { at, counts } = draft;
  const all = counts.reduce((sum, count) => sum + count, 0) || 1;
  const both = Array.from(at.p.rank.subarray(0, 50), (i) => [
    visible(vocabulary[i]),
    share(at.p.q[i]),
    share(at.q.q[i]),
    share(at.out[i]),
    share(counts[i] / all),
  ]);
  return { columns: ["token", "target p", "draft q", "what comes out", "counted"], rows: both };
}

export function sentence(ui, now) {
  return now.draft ? draftSentence(ui, now) : singleSentence(ui, now);
}

function singleSentence(ui, { vocabulary, ids, position, here, token, u, text }) {
  const before = ids
    .slice(Math.max(0, position - 3), position)
    .map((id) => vocabulary[id])
    .join(" ");
  const place = position ? `After “${before}”` : "At the start";
  const kept = `${here.count} of ${vocabulary.length} tokens stay, with ${share(here.mass)} of the probability`;
  const how = ui.get("greedy") ? "greedy takes" : `the draw ${u.toFixed(2)} gives`;
  return `${place} ${kept}; ${how} “${visible(vocabulary[token])}”. Perplexity of the text ${number(text.perplexity)}.`;
}

function draftSentence(
  ui,
  {
    vocabulary,
    ids,
    draft: {
      checked: { kept, token, bonus },
      at,
      gain,
    },
  },
) {
  const added = token < 0 ? "" : ` and the target adds “${visible(vocabulary[token])}”${bonus ? " as a bonus" : ""}`;
  const speed = `${number(gain.tokens)} tokens a call on average, ${number(gain.speedup)} times as fast as without a draft`;
  const far =
    at.distance < 1e-9
      ? "what comes out is exactly the target"
      : `${share(at.distance)} of what comes out is off the target`;
  return `${kept} of ${ids.length} drafted tokens are accepted${added}. ${speed}; here ${far}.`;
}
