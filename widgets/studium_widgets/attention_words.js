// The sentence as buttons, and what the model expects under the mask, in the two ways of looking.
import { bars } from "./controls/bars.js";
import { h, suppress } from "./controls/element.js";

const MASK = "[MASK]";
const percent = (value) => `${Math.round(100 * value)} %`;

/** The tokens as they now stand: the masked one reads [MASK]. */
export function shownTokens(ui) {
  const [tokens, masked] = [ui.get("tokens"), ui.get("masked")];
  return masked < 0 ? tokens : tokens.with(masked, MASK);
}

/** A row of tokens; those with predictions are buttons that put the mask on and take it off. */
export function sentence(ui) {
  let [tokens, known, parts] = [null, null, []];
  const part = (token, position) => {
    if (!known.has(position)) return h("span", { class: "st-token" }, token);
    const button = h(
      "button",
      { type: "button", class: "st-token", "aria-label": `Mask “${token}”`, ...suppress },
      token,
    );
    const flip = () => ui.set("masked", ui.get("masked") === position ? -1 : position);
    button.addEventListener("click", flip, { signal: ui.signal });
    return button;
  };
  const element = h("div", { class: "st-sentence", role: "group", "aria-label": "Sentence: choose a word to mask" });
  const build = () => {
    tokens = ui.get("tokens");
    known = new Set(ui.get("predictions").map((prediction) => prediction.position));
    parts = tokens.map(part);
    element.replaceChildren(...parts);
  };
  const draw = () => {
    if (tokens !== ui.get("tokens")) build();
    const shown = shownTokens(ui);
    parts.forEach((button, position) => {
      button.textContent = shown[position];
      if (known.has(position)) button.setAttribute("aria-pressed", String(shown[position] === MASK));
    });
  };
  return { element, draw };
}

/** The candidates for the masked word and their probabilities under the mask that is on. */
export function predictions(ui) {
  const title = h("h4", {});
  const hint = h("p", { class: "st-label" });
  const odds = bars(ui, { label: "Probabilities of the masked word", format: percent });
  const element = h("div", { class: "st-predictions" }, title, odds.element, hint);
  const draw = () => {
    const found = ui.get("predictions").find((prediction) => prediction.position === ui.get("masked"));
    title.textContent = found ? "What is under the mask?" : "Choose a word above to mask it.";
    hint.textContent = found ? verdict(ui.get("mask"), found[ui.get("mask")]) : "";
    odds.draw(found ? found.words.map((name, i) => ({ name, value: found[ui.get("mask")][i] })) : []);
  };
  return { element, draw };
}

function verdict(mask, probabilities) {
  const sure = Math.max(...probabilities);
  const eyes = mask === "causal" ? "Seeing only what came before" : "Seeing both sides";
  return `${eyes}, the model puts ${percent(sure)} on its first choice.`;
}
