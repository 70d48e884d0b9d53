import { matrices } from "./controls/matrix.js";
import { amount, percent } from "./rank_explorer_words.js";

const TITLES = ["ΔW, the update", "B·A, two thin matrices", "Residual, what is missing"];

/** The update, the product and the residual in one colour scale, with one cursor over all three. */
export function maps(ui) {
  const pictures = matrices(ui, { titles: TITLES, signs: ["=", "+"] });
  const draw = (now) => {
    const shared = { rows: now.rows, columns: now.columns, range: [-now.largest, now.largest], palette: "diverging" };
    const notes = captions(now);
    const shown = [now.target, now.product, now.residual].map((data, i) => ({ data, note: notes[i], ...shared }));
    pictures.draw(shown, { from: amount(-now.largest), to: amount(now.largest), palette: "diverging" });
  };
  return { element: pictures.element, draw, cell: pictures.cell };
}

function captions({ rows, columns, rank, scale, total, left, factors }) {
  const numbers = (count) => `${count.toLocaleString("en")} number${count > 1 ? "s" : ""}`;
  const how =
    factors === "rescaled"
      ? `, fitted at 1, used at ${amount(scale)}`
      : scale === 1
        ? ""
        : `, times α/r = ${amount(scale)}`;
  return [
    `${rows} × ${columns}: ${numbers(rows * columns)}`,
    `${rank} · (${rows} + ${columns}): ${numbers(rank * (rows + columns))}${how}`,
    `${percent(total ? left / total : 0)} of the update`,
  ];
}
