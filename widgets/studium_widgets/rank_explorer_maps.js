import { matrices } from "./controls/matrix.js";
import { amount, percent } from "./rank_explorer_words.js";

const TITLES = ["ΔW, the update", "(α/r)·B·A", "Residual"];

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
  const numbers = rank * (rows + columns);
  const size = `${numbers.toLocaleString("en")} numbers for ${(rows * columns).toLocaleString("en")} (${percent(numbers / (rows * columns))})`;
  const how = factors === "rescaled" ? "fitted at 1, used at" : "α/r =";
  return [`${rows} × ${columns}, energy ${amount(total)}`, `${size}, ${how} ${amount(scale)}`, `energy ${amount(left)}`];
}
