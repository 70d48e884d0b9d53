// What a widget's module exports for a live notebook: its view, its style, and word of what a reader has moved.
import { h } from "../controls/element.js";
import { settle } from "../controls/timing.js";
import { listen } from "../controls/widget.js";

const TELL_AFTER = 500; // ms without a change

/**
 * {render}, which anywidget calls. `state`: the names whose changes the host is told of, by the event "studium-change"
 * that bubbles up from the element, with the detail {alt, state: {name: value}} of what has changed.
 */
export function live(view, { name, style, state }) {
  const render = ({ model, el, signal }) => {
    const end = new AbortController();
    signal?.addEventListener("abort", () => end.abort(), { once: true });
    addStyle(name, style);
    announce(model, el, state, end.signal);
    view.render({ model, el, signal: end.signal });
    return () => end.abort();
  };
  return { render };
}

// One style element a widget, however many views there are; a newer text replaces an older one.
function addStyle(name, text) {
  const known = [...document.head.querySelectorAll("style[data-studium]")].find(
    (style) => style.dataset.studium === name,
  );
  const style = known ?? document.head.appendChild(h("style", { "data-studium": name }));
  if (style.textContent !== text) style.textContent = text;
}

function announce(model, el, names, signal) {
  const changed = new Set();
  const tell = () => {
    if (!changed.size) return;
    const state = Object.fromEntries([...changed].map((name) => [name, asJson(model.get(name))]));
    changed.clear();
    el.dispatchEvent(new CustomEvent("studium-change", { bubbles: true, detail: { alt: model.get("_alt"), state } }));
  };
  const tellSoon = settle(tell, TELL_AFTER, signal);
  signal.addEventListener("abort", tell, { once: true }); // what was moved just before the end is not lost
  for (const name of names) {
    const note = () => {
      changed.add(name);
      tellSoon();
    };
    listen(model, `change:${name}`, note, signal);
  }
}

/** The same value with bytes as base64 text. */
export function asJson(value) {
  if (ArrayBuffer.isView(value)) return toBase64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asJson(item)]));
}

function toBase64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
