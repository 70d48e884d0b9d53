// What stands below the strip: one row of the logits taken apart, or target and draft side by side.
import { bars } from "./controls/bars.js";
import { h, put } from "./controls/element.js";
import { facts } from "./controls/facts.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { visible } from "./controls/token_strip.js";
import { FILTERS, MISTAKES } from "./token_strip_maths.js";
import { number, share } from "./token_strip_words.js";

const SHOWN = 10; // tokens with a bar
const LETTER = 7.3; // px of a letter in the cumulated line, 12 px high
const SEGMENTS = 12; // tokens in the cumulated line, the rest in one
const TRIALS = [0, 10, 30, 100, 300, 1000, 3000, 10000];

const titled = (title, ...parts) => h("div", {}, h("h4", {}, title), ...parts);
const small = (text) => h("p", { class: "st-effect" }, text);

/** One row of the logits: bars, the cumulated line with the draw, entropies and the text's perplexity. */
export function single(ui) {
  const odds = bars(ui, { label: "Probabilities after the filters", format: share });
  const line = cumulated(ui);
  const tiles = facts(["Tokens that stay", "As unsure as between", "Perplexity of the text"]);
  const left = titled(
    "The likeliest tokens",
    odds.element,
    small("Bar: with these settings. Stroke: as the model says."),
  );
  const fallen = small("");
  const right = titled("The draw: each token as wide as it is likely", line.element, fallen, tiles.element);
  const draw = ({ vocabulary, here, u, token, text }) => {
    const { p, q, rank, cut } = here;
    const widest = Math.max(0.5, ...Array.from(rank.subarray(0, SHOWN), (i) => Math.max(p[i], q[i])));
    odds.draw(
      Array.from(rank.subarray(0, SHOWN), (i) => ({
        name: cut[i] ? `${visible(vocabulary[i])} ✗ ${FILTERS[cut[i]]}` : visible(vocabulary[i]),
        value: q[i],
        mark: p[i],
        kind: i === token ? "chosen" : "context",
      })),
      widest,
    );
    line.draw(vocabulary, here, ui.get("greedy") ? null : u, token);
    const name = `“${visible(vocabulary[token])}”`;
    put(
      fallen,
      "textContent",
      ui.get("greedy") ? `Greedy takes the likeliest, ${name}.` : `A random number, ${u.toFixed(2)}, falls on ${name}.`,
    );
    tiles.draw([
      [String(here.count), `of ${vocabulary.length}, ${share(here.mass)} of the probability`],
      [
        (2 ** here.after).toFixed(1),
        `equal tokens: entropy ${here.after.toFixed(2)} bits, ${here.before.toFixed(2)} by the model`,
      ],
      [
        number(text.perplexity),
        Number.isFinite(text.nats)
          ? `${text.nats.toFixed(2)} nats a token, ${text.bitsPerByte.toFixed(2)} bits a byte`
          : "a token has probability 0",
      ],
    ]);
  };
  return { element: h("div", { class: "st-strip-grid" }, left, right), draw };
}

// The kept tokens end to end, as wide as they are likely, and a needle where the draw falls.
function cumulated(ui) {
  const element = h("div", { class: "st-cumulated", "aria-hidden": "true" });
  const parts = Array.from({ length: SEGMENTS + 1 }, () => h("span"));
  const needle = h("i");
  element.append(...parts, needle);
  const draw = (vocabulary, { q, rank, count }, u, token) => {
    let [sum, hit] = [0, false];
    const room = ui.widthOf(element);
    parts.forEach((part, at) => {
      const rest = at === SEGMENTS;
      const width = rest ? Math.max(0, 1 - sum) : at < count ? q[rank[at]] : 0;
      const here = rest ? !hit : rank[at] === token;
      const text = rest ? "…" : visible(vocabulary[rank[at]] ?? "");
      part.hidden = width < 1e-9;
      Object.assign(part.style, { left: `${100 * sum}%`, width: `${100 * width}%` });
      put(part, "textContent", text.length * LETTER + 4 < width * room ? text : "");
      sum += width;
      hit ||= here;
      part.classList.toggle("st-hit", here);
    });
    needle.hidden = u === null;
    if (u !== null) needle.style.left = `${100 * u}%`;
  };
  return { element, draw };
}

/** Target and draft at one position, what comes out of many checks, and what the draft gains. */
export function drafting(ui) {
  const [proposed, counted] = ["Draft q, target p marked", "Shares of the tokens that come out, target p marked"].map(
    (label) => bars(ui, { label, format: share }),
  );
  const tiles = facts(["Accepted here, α", "Off the target", "Tokens a call"]);
  const mistake = select(ui, "mistake", {
    label: "Put in a mistake",
    options: Object.entries(MISTAKES).map(([name, [shown]]) => [name, shown]),
  });
  const effect = h("p", { class: "st-effect", "aria-live": "polite" });
  const settings = h(
    "div",
    { class: "st-controls" },
    slider(ui, "trials", { label: "Single checks counted", values: TRIALS }),
    slider(ui, "cost", { label: "Cost of a draft, in target calls", min: 0, max: 0.5, step: 0.01 }),
    mistake,
  );
  const left = titled("Draft (bar) and target (stroke)", proposed.element, tiles.element);
  const right = titled("What comes out (bar), target (stroke)", counted.element, settings, effect);
  const draw = ({ vocabulary, draft: { at, counts, gain }, ids }) => {
    const all = counts.reduce((sum, count) => sum + count, 0);
    const top = Array.from(at.p.rank.subarray(0, SHOWN));
    const bar = (values, kind) =>
      top.map((i) => ({ name: visible(vocabulary[i]), value: values(i), mark: at.p.q[i], kind }));
    const widest = Math.max(0.5, ...top.map((i) => Math.max(at.p.q[i], at.q.q[i])));
    proposed.draw(
      bar((i) => at.q.q[i], "context"),
      widest,
    );
    counted.draw(
      bar((i) => (all ? counts[i] / all : at.out[i]), at.distance < 1e-9 ? "right" : "wrong"),
      widest,
    );
    const chance = all ? counts.reduce((sum, count, i) => sum + Math.abs(count / all - at.p.q[i]) / 2, 0) : at.distance;
    tiles.draw([
      [share(at.alpha), "Σ min(p, q) where the check is right"],
      [
        share(at.distance < 1e-9 ? 0 : at.distance),
        all ? `of what comes out; counted ${share(chance)}` : "of what comes out, exact",
      ],
      [number(gain.tokens), `of ${ids.length + 1}; × ${number(gain.speedup)} in speed`],
    ]);
    put(effect, "textContent", MISTAKES[ui.get("mistake")][1]);
  };
  return { element: h("div", { class: "st-strip-grid" }, left, right), draw };
}
