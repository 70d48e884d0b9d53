import { choice } from "./controls/choice.js";
import { h, put } from "./controls/element.js";
import { stackedBar } from "./controls/stacked_bar.js";
import { toggle } from "./controls/toggle.js";
import { flops, MODELS } from "./rank_explorer_maths.js";
import { amount, heading, percent } from "./rank_explorer_words.js";
import { adapterSize, trainingBytes } from "./transformer_costs.js";

const CARD = 80e9; // bytes of one large accelerator
const WIDTH_OF = { bf16: 2, fp32: 4 };

/** The memory that training takes, and the work that a token takes with a separate and with a merged adapter. */
export function costs(ui) {
  const parts = [memory(ui), latency(ui)];
  const element = h("div", { class: "st-rank-pair st-rank-costs" }, ...parts.map((part) => part.element));
  return { element, draw: (now) => parts.forEach((part) => part.draw(now)) };
}

function memory(ui) {
  const sizes = choice(ui, "model_size", { label: "Model", options: Object.keys(MODELS) });
  const precision = choice(ui, "precision", { label: "Weights, gradients", options: ["bf16", "fp32"] });
  const settings = h("div", { class: "st-controls" }, sizes, precision);
  const bar = stackedBar("Training memory", ["weights", "gradients", "Adam"]);
  const [total, note] = [h("p", { class: "st-rank-total", "aria-live": "polite" }), h("p", { class: "st-note" })];
  const draw = ({ rank }) => {
    const model = MODELS[ui.get("model_size")];
    const adapter = adapterSize(model, rank);
    const lora = ui.get("lora");
    const bytes = WIDTH_OF[ui.get("precision")];
    const full = training(model.parameters, model.parameters, bytes);
    const now = lora ? training(model.parameters + adapter, adapter, bytes) : full;
    bar.draw(
      Object.values(now).map((value) => [value, gigabytes(value)]),
      sum(full),
    );
    const cards = Math.ceil(sum(now) / CARD);
    put(
      total,
      "textContent",
      `${gigabytes(sum(now))} of ${gigabytes(sum(full))}: fills ${cards} card${cards > 1 ? "s" : ""} of 80 GB`,
    );
    put(
      note,
      "textContent",
      lora
        ? adapterNote(model, adapter, rank)
        : "All parameters are trained; Adam keeps two fp32 numbers for each. Activations come on top.",
    );
  };
  return {
    element: panel(
      heading("Memory to train", toggle(ui, "lora", { label: "LoRA" })),
      settings,
      bar.element,
      total,
      note,
    ),
    draw,
  };
}

function adapterNote({ parameters, width, layers }, adapter, rank) {
  const one = Math.round(parameters / adapter).toLocaleString("en");
  const where = `rank ${rank} on the query and value weights of ${layers} layers, ${width.toLocaleString("en")} wide`;
  return `${amount(adapter / 1e6)} million parameters are trained, 1 in ${one}: ${where}. Activations come on top.`;
}

function latency(ui) {
  const bar = stackedBar("Work for one token", ["x·Wᵀ", "x·Aᵀ", "(x·Aᵀ)·Bᵀ"]);
  const [total, note] = [h("p", { class: "st-rank-total", "aria-live": "polite" }), h("p", { class: "st-note" })];
  const draw = ({ rows, columns, rank }) => {
    const { base, down, up } = flops(rows, columns, rank);
    const merged = ui.get("merged");
    const parts = merged ? [base, 0, 0] : [base, down, up];
    bar.draw(
      parts.map((value) => [value, value.toLocaleString("en")]),
      base + down + up,
    );
    const more = merged ? "no more than without an adapter" : `${percent((down + up) / base)} more than without`;
    put(total, "textContent", `${sum(parts).toLocaleString("en")} FLOPs: ${more}`);
    const { width } = MODELS[ui.get("model_size")];
    const large = flops(width, width, rank);
    const share = `${amount((100 * (large.down + large.up)) / large.base)} %`;
    put(
      note,
      "textContent",
      merged
        ? "W + (α/r)·B·A has the shape of W: one product, the same outputs, no added latency."
        : `Three products, two of them one after the other. At ${width.toLocaleString("en")} × ${width.toLocaleString("en")} they add only ${share} of the FLOPs, but still two launches.`,
    );
  };
  return {
    element: panel(
      heading("Work to use it", toggle(ui, "merged", { label: "Merge B·A into W" })),
      bar.element,
      total,
      note,
    ),
    draw,
  };
}

// Weights, gradients, and Adam's two moments in fp32.
function training(parameters, trained, bytes) {
  const { weights, gradients, optimiser } = trainingBytes({ parameters, trained, bytes });
  return { weights, gradients, optimiser };
}

const sum = (parts) => Object.values(parts).reduce((total, value) => total + value, 0);

const panel = (...parts) => h("div", { class: "st-rank-panel" }, ...parts);

function gigabytes(bytes) {
  if (bytes >= 1e12) return `${amount(bytes / 1e12)} TB`;
  return bytes >= 1e9
    ? `${amount(Number((bytes / 1e9).toPrecision(3)))} GB`
    : `${amount(Number((bytes / 1e6).toPrecision(3)))} MB`;
}
