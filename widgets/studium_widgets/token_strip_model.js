// All that follows from the state, each part computed again only when what it depends on has changed: no DOM.
import { memo } from "./controls/memo.js";
import { uniforms } from "./random.js";
import * as maths from "./token_strip_maths.js";

/** `read()` → what to draw now. */
export function model(ui) {
  const likely = memo(maths.likelihoods);
  const chosen = memo(row);
  const bytes = memo((vocabulary, ids) => new TextEncoder().encode(ids.map((id) => vocabulary[id]).join("")).length);
  const speculation = memo(speculate);
  const counted = memo((here, trials, seed, mistake) => maths.trial(here.p.q, here.q.q, trials, seed, mistake));
  return () => {
    const vocabulary = ui.get("vocabulary");
    const V = vocabulary.length;
    const [ids, position, temperature] = ["text", "position", "temperature"].map(ui.get);
    const [rows] = ui.array("logits").shape;
    if (!ids.length || (ids.length !== rows && ids.length !== rows - 1))
      throw new Error(`a text of ${rows} or ${rows - 1} tokens is needed, got ${ids.length}`);
    const logits = ui.array("logits");
    const options = ["top_k", "top_p", "min_p"].map(ui.get);
    const here = chosen(logits.data, V, position, temperature, ...options);
    const u = draw(ui.get("seed"), position);
    const token = ui.get("greedy") ? here.rank[0] : maths.pick(here.q, here.rank, u);
    const probabilities = likely(logits.data, V, ids, temperature);
    const text = maths.score(probabilities, bytes(vocabulary, ids));
    const now = {
      vocabulary,
      ids,
      position,
      positions: logits.shape[0],
      here,
      u,
      token,
      probabilities,
      text,
      draft: null,
    };
    if (!ui.array("draft")) return now;
    const seen = [ui.get("seed"), ui.get("mistake")];
    const draft = speculation(logits.data, ui.array("draft").data, V, ids, temperature, ...options, ...seen);
    const at = draft.rows[Math.min(position, ids.length - 1)];
    return {
      ...now,
      draft: {
        ...draft,
        at,
        gain: maths.gain(draft.alphas, ui.get("cost")),
        counts: counted(at, ui.get("trials"), ...seen),
      },
    };
  };
}

/** A uniform number for each seed and position. */
export const draw = (seed, position) =>
  uniforms(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(position + 1, 0x85ebca6b))();

/** A row of the logits through temperature and filters: {p, rank, q, cut, count, mass, before, after}. */
export function row(logits, V, position, temperature, topK, topP, minP) {
  const p = maths.softmax(logits, temperature, position * V, V);
  const rank = maths.ranking(temperature === 0 ? p : logits.subarray(position * V, (position + 1) * V));
  const found = maths.filter(p, rank, { topK, topP, minP });
  return { p, rank, ...found, before: maths.entropy(p), after: maths.entropy(found.q) };
}

// Target and draft at each position, both filtered, and one check of the whole draft.
function speculate(target, draft, V, ids, temperature, topK, topP, minP, seed, mistake) {
  const at = (logits, t) => row(logits, V, t, temperature, topK, topP, minP);
  const rows = ids.map((_, t) => ({ p: at(target, t), q: at(draft, t) }));
  const verdicts = rows.map(({ p, q }) => maths.verified(p.q, q.q, mistake));
  const plain = rows.map(({ p, q }) => ({ p: p.q, q: q.q }));
  if (target.length > ids.length * V) plain.push({ p: at(target, ids.length).q });
  const checked = maths.check(plain, ids, seed, mistake);
  return {
    rows: rows.map((pair, t) => ({ ...pair, ...verdicts[t] })),
    alphas: verdicts.map(({ alpha }) => alpha),
    checked,
  };
}
