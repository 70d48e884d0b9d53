// The numbers and sentences beside the pictures.
import { h, put } from "./controls/element.js";
import { STEPS } from "./rank_explorer_learning.js";

/** Four digits of a number, as short as they go. */
export function amount(value) {
  if (!Number.isFinite(value)) return "∞";
  if (Math.abs(value) < 1e-12) return "0";
  if (Math.abs(value) < 1e-3) return value.toExponential(1).replace("-", "−");
  return (
    Math.abs(value) < 1000 ? String(Number(value.toPrecision(4))) : Math.round(value).toLocaleString("en")
  ).replace("-", "−");
}

/** A panel's title, with a control at the right. */
export const heading = (title, ...more) => h("div", { class: "st-rank-heading" }, h("h4", {}, title), ...more);

export const percent = (share) => `${(100 * share).toFixed(share > 0.9995 && share < 1 ? 3 : 1)} %`;

/** alpha / r as it stands. */
export const scaleOf = (ui) => ui.get("alpha") / ui.get("rank");

/** True where the residual is the tail energy, to a tenth of a percent. */
export const onFloor = ({ left, tail, total }) => left <= tail * 1.001 + total * 1e-6;

// A large number below its label; `kind` is what its colour says.
function part(kind) {
  const [value, label] = [h("strong", { class: "st-value" }), h("span", { class: "st-label" })];
  return { value, label, element: h("div", { class: `st-rank-number st-rank-${kind}` }, label, value) };
}

/** The share of the update that is kept, and the share of the numbers that this takes. */
export function headline() {
  const [kept, stored] = [part("kept"), part("stored")];
  const element = h(
    "div",
    { class: "st-rank-equation" },
    kept.element,
    h("span", { class: "st-rank-for" }, "with"),
    stored.element,
  );
  const draw = ({ rank, rows, columns, kept: share }) => {
    put(kept.label, "textContent", `rank ${rank} can keep`);
    put(kept.value, "textContent", `${percent(share)} of the update`);
    const numbers = (rank * (rows + columns)) / (rows * columns);
    put(stored.label, "textContent", numbers > 1 ? "A and B are larger than ΔW:" : "A and B are");
    put(stored.value, "textContent", `${percent(numbers)} of its numbers`);
    element.classList.toggle("st-rank-dear", numbers >= 1);
  };
  return { element, draw };
}

/** ‖residual‖² beside the tail energy. */
export function equation() {
  const [left, tail] = [part("left"), part("tail")];
  const sign = h("span", { class: "st-rank-sign" });
  left.label.textContent = "‖residual‖²";
  const element = h("div", { class: "st-rank-equation" }, left.element, sign, tail.element);
  const draw = (now) => {
    put(left.value, "textContent", amount(now.left));
    put(tail.value, "textContent", amount(now.tail));
    put(tail.label, "textContent", `tail energy, Σ σᵢ² for i > ${now.rank}`);
    put(sign, "textContent", onFloor(now) ? "=" : ">");
  };
  return { element, draw };
}

/** What the three pictures say now, or the numbers of the cell under the cursor. */
export function sentence(now, cell) {
  if (cell) return cellSentence(now, cell);
  const { rank, scale, left, tail, factors } = now;
  const cut = `Rank ${rank} ${factors === "best" ? "keeps" : "can keep"} ${percent(now.kept)} of the energy`;
  const size =
    Math.abs(scale - 1) < 1e-9
      ? ""
      : ` α/r = ${amount(scale)}, so the entries of B·A are ${amount(1 / scale)} times those of the update.`;
  if (factors === "best") return `${cut}; the squared residual is exactly the tail energy, ${amount(tail)}.${size}`;
  if (factors === "learned") return `${cut}. ${learned(now)}`;
  if (Math.abs(scale - 1) < 1e-9) return `${cut}. Fitted at α/r = 1 and used at 1: nothing is lost. Move alpha.`;
  const way = scale > 1 ? "overshoots" : "falls short";
  return `Fitted at α/r = 1 but used at ${amount(scale)}, the update ${way}: it leaves ${amount(left)} instead of ${amount(tail)}.`;
}

function learned({ left, tail, total, run, steps }) {
  if (!Number.isFinite(left)) return "Learning broke down: alpha/r makes the steps too long.";
  if (onFloor({ left, tail, total }))
    return `After ${steps} steps the loss ${amount(left)} lies on the floor, the tail energy ${amount(tail)}.`;
  const slow = run.complete && steps === STEPS ? ", and these steps were too few or too long" : "";
  return `After ${steps} steps the loss is ${amount(left)}${slow}; the floor is the tail energy ${amount(tail)}.`;
}

function cellSentence({ target, product, residual, columns }, [row, column]) {
  const [whole, part, rest] = [target, product, residual].map((data) => amount(data[row * columns + column]));
  return `Row ${row}, column ${column}: ΔW ${whole} = product ${part} + residual ${rest}.`;
}

/** Rows of the table: one for each singular value. */
export function tableRows({ s, tails, total }) {
  const share = (r) => percent(total ? 1 - tails[r] / total : 1);
  const rows = Array.from(s, (value, i) => [String(i + 1), amount(value), amount(tails[i + 1]), share(i + 1)]);
  return { columns: ["r", "σᵣ", "tail energy", "kept"], rows };
}
