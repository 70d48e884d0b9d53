// An update, its product of rank r and what is left; why the loss of an adapter stops where the tail energy begins.
import { choice } from "./controls/choice.js";
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { fold } from "./controls/fold.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { widget } from "./controls/widget.js";
import { costs } from "./rank_explorer_costs.js";
import { lossPanel } from "./rank_explorer_loss.js";
import { maps } from "./rank_explorer_maps.js";
import { amount, equation, headline, scaleOf, sentence, tableRows } from "./rank_explorer_words.js";
import { source } from "./rank_explorer_source.js";
import { spectrumPanel } from "./rank_explorer_spectrum.js";

const UPDATES = [
  ["decaying", "Fading"],
  ["low_rank", "Rank 4"],
  ["noisy", "Rank 4 + noise"],
  ["flat", "All equal"],
];
const FACTORS = [
  ["best", "Best (SVD)"],
  ["learned", "Learned"],
  ["rescaled", "Rescaled"],
];

export default widget((ui) => {
  const look = source(ui);
  const { rows, columns } = look();
  const { first, rest } = controls(ui, Math.min(rows, columns));
  ui.controls(...first);
  ui.more(...rest);
  ui.invite("raise the rank one by one. How few of its numbers are enough to rebuild the update?");
  demonstrate(ui, "rank", () =>
    Array.from({ length: Math.min(rows, columns) - ui.get("rank") + 1 }, (_, i) => Math.min(rows, columns) - i),
  );
  const parts = {
    pictures: maps(ui),
    size: headline(),
    line: equation(),
    spectrum: spectrumPanel(ui),
    loss: lossPanel(ui),
    table: dataTable(ui, { caption: "Singular values, and the energy that a cut behind each leaves and keeps" }),
    costs: costs(ui),
  };
  const learning = fold(
    ui,
    "Learning A and B: the loss stops at the tail",
    [parts.line.element, ...parts.loss.elements],
    ui.get("factors") === "learned",
  );
  const bill = fold(ui, "The bill: memory to train, work to use", [parts.costs.element]);
  ui.add(parts.pictures.element, parts.size.element, parts.spectrum.element, learning, bill, parts.table.element);
  return () => {
    const now = look();
    for (const part of [parts.spectrum, parts.loss, parts.pictures, parts.size, parts.line, parts.costs])
      part.draw(now);
    parts.table.draw(() => tableRows(now));
    ui.say(sentence(now, parts.pictures.cell()));
    if (!now.run.complete) ui.redraw();
  };
});

function controls(ui, largest) {
  const alpha = (value) => `${amount(value)} → α/r = ${amount(scaleOf(ui))}`;
  const scaled = slider(ui, "alpha", { label: "Alpha", min: 1, max: 64, format: alpha });
  const rank = slider(ui, "rank", {
    label: "Rank r",
    min: 1,
    max: largest,
    format: (value) => `${value} of ${largest}`,
  });
  ui.on("rank", () => refresh(scaled, alpha(ui.get("alpha"))));
  const update = ui.array("delta") ? [] : [select(ui, "update", { label: "Update ΔW", options: UPDATES })];
  return {
    first: [rank, ...update],
    rest: [scaled, choice(ui, "factors", { label: "A and B are", options: FACTORS })],
  };
}

// The alpha slider says the scale too, which a change of rank changes.
function refresh(element, text) {
  element.querySelector("output").textContent = text;
  element.querySelector("input").setAttribute("aria-valuetext", text);
}
