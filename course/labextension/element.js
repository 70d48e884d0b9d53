// DOM elements in one call.

/** A DOM element. `false` and `null` attributes are left out; a function `onclick` and the like becomes a listener. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== false && child !== ""));
  return element;
}

/** A button with a text; `label` is what a screen reader says where the text alone is not enough. */
export function button(text, onclick, { label = null, kind = "", disabled = false } = {}) {
  return h(
    "button",
    { type: "button", class: `studium-button ${kind}`.trim(), "aria-label": label, disabled, onclick },
    text,
  );
}

/** `text` with what stands between backticks as code. */
export function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

/** "12 min", "3 h". */
export const minutes = (count) => (count >= 120 ? `${Math.round(count / 60)} h` : `${Math.round(count)} min`);

/** "1 minute", "12 minutes", "3 hours". */
export const spelledOut = (count) =>
  minutes(count)
    .replace("h", "hours")
    .replace("min", count < 1.5 ? "minute" : "minutes");
