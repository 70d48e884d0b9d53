// A text that a small model writes in the page, and at each of its characters what else it might have written.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h, put } from "studium_widgets/controls/element.js";
import { memo } from "studium_widgets/controls/memo.js";
import { player } from "studium_widgets/controls/player.js";
import { tokenStrip, visible } from "studium_widgets/controls/token_strip.js";
import { widget } from "studium_widgets/controls/widget.js";
import { ranking, softmax } from "studium_widgets/token_strip_maths.js";
import { share } from "studium_widgets/token_strip_words.js";
import { choices, given, growing, temperature, worded } from "./growing.js";
import { modelOf, paper } from "./paper.js";
import { confidence, perplexity, repeated } from "./writing.js";

const STRIP = 12; // characters in the strip
const OTHERS = 6; // characters that it might have written

export default widget((ui) => {
  const vocabulary = ui.get("vocabulary");
  const play = player(ui, "written", { label: "Characters", ends: () => [0, ui.get("length")], duration: 12000 });
  ui.controls(play.element, temperature(ui));
  ui.more(...choices(ui));
  ui.invite("set the temperature to 0 and watch it repeat itself. Then raise it until the words fall apart.");
  const sheet = paper("What the model writes");
  const note = h("p", { class: "st-note" });
  let [picked, first] = [null, 0]; // the place of the character that is taken apart, and of the first one in the strip
  const strip = tokenStrip(ui, { label: "The last characters", picked: (index) => (picked = first + index) });
  const others = bars(ui, { label: "What it might have written", format: share });
  const heading = h("h4", {});
  const table = dataTable(ui, { caption: "The last characters, and the probability that the model gave to each" });
  ui.add(
    h("div", {}, sheet.element, note),
    h(
      "div",
      { class: "st-paper-line" },
      h(
        "span",
        { class: "st-label" },
        "The last characters, and how sure the model was of each. The least sure is chosen; choose another.",
      ),
      strip.element,
    ),
    h(
      "div",
      { class: "st-others" },
      heading,
      others.element,
      h(
        "p",
        { class: "st-note" },
        "Bar: the probability with which it was drawn, after temperature and top-k. Stroke: what the model says, at temperature 1.",
      ),
    ),
    table.element,
  );
  ui.on("written", () => (picked = null));
  const text = reading(ui, sheet.element);
  return () => {
    play.draw();
    const now = text();
    first = Math.max(0, now.shown - STRIP);
    const at = picked !== null && picked >= first && picked < now.shown ? picked : doubtful(now.odds, first);
    sheet.draw(given(ui), now.text, {
      from: now.text.length - now.again,
      kind: "repeated",
      writes: !now.arrived,
      room: ui.get("length"),
    });
    put(
      note,
      "textContent",
      now.again ? `Underlined: the last ${now.again} characters stand further up already, in the same order.` : "",
    );
    strip.draw(items(now, first, vocabulary), Math.min(at - first, now.shown - 1));
    put(
      heading,
      "textContent",
      `Instead of “${visible(vocabulary[now.pen.written[at]])}”, character ${at + 1}, it might have written`,
    );
    others.draw(alternatives(now.pen, at, vocabulary));
    table.draw(() => rowsOf(now, first, vocabulary));
    ui.say(sentence(ui, now));
  };
});

// The place from `first` on where the model was least sure.
function doubtful(odds, first) {
  let least = first;
  for (let at = first; at < odds.length; at++) if (odds[at] < odds[least]) least = at;
  return least;
}

function alternatives(pen, at, vocabulary) {
  const { here, token } = pen.choice(at);
  const said = softmax(pen.rows[at]);
  const likeliest = Array.from(ranking(said).subarray(0, OTHERS));
  if (!likeliest.includes(token)) likeliest[OTHERS - 1] = token;
  return likeliest.map((id) => ({
    name: `${id === token ? "▸ " : ""}${visible(vocabulary[id])}`,
    value: here.q[id],
    mark: said[id],
  }));
}

// The text as far as it is shown, the probability of each of its characters, and how much of its end repeats its beginning.
function reading(ui, element) {
  const weights = [modelOf(ui)];
  const grown = growing(ui, element);
  const odds = memo(confidence);
  const again = memo(repeated);
  return () => {
    const {
      pens: [pen],
      shown,
      arrived,
    } = grown(weights);
    const text = worded(ui, pen.written.slice(0, shown));
    return { pen, shown, arrived, text, again: again(text), odds: odds(pen, Math.max(1, shown)) };
  };
}

const places = ({ shown }, first) => Array.from({ length: shown - first }, (_, i) => first + i);

function items(now, first, vocabulary) {
  return places(now, first).map((at) => ({
    text: vocabulary[now.pen.written[at]],
    share: now.odds[at],
    note: share(now.odds[at]),
  }));
}

function rowsOf(now, first, vocabulary) {
  const row = (at) => {
    const { here, token } = now.pen.choice(at);
    return [
      String(at + 1),
      visible(vocabulary[token]),
      share(now.odds[at]),
      visible(vocabulary[here.rank[0]]),
      String(here.count),
    ];
  };
  return {
    columns: ["place", "written", "probability", "likeliest", "could be drawn"],
    rows: places(now, first).map(row),
  };
}

function sentence(ui, { arrived, again, odds }) {
  const how = `${ui.get("written")} characters at temperature ${ui.get("temperature").toFixed(2)}`;
  if (!arrived) return `The model is writing ${how}.`;
  const doubt = `on average the model hesitated among ${perplexity(odds).toFixed(2)} characters`;
  return again ? `${how}: ${doubt}, and the last ${again} repeat what stands further up.` : `${how}: ${doubt}.`;
}
