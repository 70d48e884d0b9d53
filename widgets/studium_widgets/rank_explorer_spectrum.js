import { cutBars } from "./controls/cut_bars.js";
import { h } from "./controls/element.js";
import { toggle } from "./controls/toggle.js";
import { amount, heading, percent } from "./rank_explorer_words.js";

/** The singular values of the update with the cut behind the r-th. */
export function spectrumPanel(ui) {
  const bars = cutBars(ui, "rank", { label: "Cut behind singular value", height: 200 });
  const title = heading(
    "Why so few are enough: the singular values fall. Drag the cut",
    toggle(ui, "logarithmic", { label: "Log scale" }),
  );
  const note = h(
    "p",
    { class: "st-note" },
    "Solid bars are kept, hatched ones are lost: the tail. The squares of all bars add up to ‖ΔW‖², the energy of the update.",
  );
  const draw = ({ s, rank, kept, tail, logarithmic }) => {
    const words = [`r = ${rank}`, `keeps ${percent(kept)}`, `leaves Σσᵢ² = ${amount(tail)}`];
    const spoken = `rank ${rank}, ${percent(kept)} kept, tail energy ${amount(tail)}`;
    bars.draw({ values: s, cut: rank, logarithmic, label: "singular value", words, spoken });
  };
  return { element: h("div", { class: "st-rank-panel" }, title, bars.element, note), draw };
}
