import { h } from "./element.js";
import { settle } from "./timing.js";

/** A sentence under the picture. Eyes see it at once; screen readers, and `settled`, when it has been still for 0.4 s. */
export function summary(signal, settled) {
  const seen = h("p", { class: "st-summary", "aria-hidden": "true" });
  const heard = h("p", { class: "st-hidden", role: "status", "aria-live": "polite" });
  const announce = settle((sentence) => settled((heard.textContent = sentence)), 400, signal);
  const say = (sentence) => {
    if (seen.textContent === sentence) return;
    seen.textContent = sentence;
    announce(sentence);
  };
  return { elements: [seen, heard], say };
}
