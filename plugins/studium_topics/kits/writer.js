// A text that a small model writes in the page, and at each of its characters what else it might have written.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h, put } from "studium_widgets/controls/element.js";
import { memo } from "studium_widgets/controls/memo.js";
import { player } from "studium_widgets/controls/player.js";
import { tokenStrip, visible } from "studium_widgets/controls/token_strip.js";
import { widget } from "studium_widgets/controls/widget.js";
import { single } from "studium_widgets/token_strip_panels.js";
import { share } from "studium_widgets/token_strip_words.js";
import { choices, given, growing, temperature, worded } from "./growing.js";
import { modelOf, paper } from "./paper.js";
import { confidence, judged, repeated } from "./writing.js";

const STRIP = 20; // characters in the strip

export default widget((ui) => {
  const vocabulary = ui.get("vocabulary");
  const play = player(ui, "written", { label: "Characters", ends: () => [0, ui.get("length")], duration: 12000 });
  ui.controls(play.element, temperature(ui));
  ui.more(...choices(ui));
  ui.invite("set the temperature to 0 and watch it repeat itself. Then raise it until the words fall apart.");
  const sheet = paper("What the model writes", ui.get("length"));
  const note = h("p", { class: "st-note" });
  let [behind, chips] = [0, 0]; // how far the character that is taken apart stands behind the last one
  const strip = tokenStrip(ui, { label: "The last characters", picked: (index) => (behind = chips - 1 - index) });
  const label = h("span", { class: "st-label" }, "The last characters, each with the probability that the model gave to it. Choose one to see what else it considered.");
  const panel = single(ui);
  const table = dataTable(ui, { caption: "The last characters, and the probability that the model gave to each" });
  ui.add(sheet.element, note, h("div", { class: "st-strip-line" }, label, strip.element), panel.element, table.element);
  ui.on("written", () => (behind = 0));
  const text = reading(ui, sheet.element);
  return () => {
    play.draw();
    const now = text();
    chips = Math.min(STRIP, now.shown);
    behind = Math.max(0, Math.min(behind, chips - 1));
    sheet.draw(given(ui), now.text, { from: now.text.length - now.again, kind: "repeated", writes: !now.arrived });
    put(note, "textContent", now.again ? `Underlined: the last ${now.again} characters stand further up already, in the same order.` : "");
    strip.draw(items(now, vocabulary), chips - 1 - behind);
    panel.draw({ vocabulary, text: judged(now.odds), ...now.pen.choice(Math.max(0, now.shown - 1 - behind)) });
    table.draw(() => rowsOf(now, vocabulary));
    ui.say(sentence(ui, now));
  };
});

// The text as far as it is shown, the probability of each of its characters, and how much of its end repeats its beginning.
function reading(ui, element) {
  const weights = [modelOf(ui)];
  const grown = growing(ui, element);
  const odds = memo(confidence);
  const again = memo(repeated);
  return () => {
    const { pens: [pen], shown, arrived } = grown(weights);
    const text = worded(ui, pen.written.slice(0, shown));
    return { pen, shown, arrived, text, again: again(text), odds: odds(pen, Math.max(1, shown)) };
  };
}

const places = ({ shown }) => Array.from({ length: Math.min(STRIP, shown) }, (_, i) => Math.max(0, shown - STRIP) + i);

function items(now, vocabulary) {
  return places(now).map((at) => ({ text: vocabulary[now.pen.written[at]], share: now.odds[at], note: share(now.odds[at]) }));
}

function rowsOf(now, vocabulary) {
  const row = (at) => {
    const { here, token } = now.pen.choice(at);
    return [String(at + 1), visible(vocabulary[token]), share(now.odds[at]), visible(vocabulary[here.rank[0]]), String(here.count)];
  };
  return { columns: ["place", "written", "probability", "likeliest", "could be drawn"], rows: places(now).map(row) };
}

function sentence(ui, { shown, again, odds }) {
  const how = `${shown} characters at temperature ${ui.get("temperature").toFixed(2)}`;
  if (again) return `${how}: the last ${again} of them repeat what stands further up.`;
  return `${how}: the model gave the last one a probability of ${share(odds[odds.length - 1])}.`;
}
