// Controls that the memory meter and the roofline share.
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { three } from "./memory_meter_words.js";
import { BYTES, CARDS, MODELS } from "./transformer_costs.js";

export const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
export const CONTEXTS = Array.from({ length: 21 }, (_, i) => Math.round(128 * 2 ** (i / 2)));
const HEADS = [
  [0, "As published"],
  [-1, "MHA: one a query head"],
  [8, "GQA: 8"],
  [4, "GQA: 4"],
  [2, "GQA: 2"],
  [1, "MQA: 1"],
];
const DTYPES = Object.keys(BYTES);

const named = (table) => Object.entries(table).map(([key, { name }]) => [key, name]);

export const modelList = (ui) => select(ui, "model", { label: "Model", options: named(MODELS) });
export const cardList = (ui) => select(ui, "card", { label: "Card", options: named(CARDS) });
export const headList = (ui) => select(ui, "kv_heads", { label: "Key and value heads", options: HEADS });
export const weightList = (ui) => select(ui, "weight_dtype", { label: "Weights", options: DTYPES });
export const cacheList = (ui) => select(ui, "cache_dtype", { label: "KV cache", options: DTYPES });
export const batchSlider = (ui) => slider(ui, "batch", { label: "Batch", values: BATCHES, format: three });
export const contextSlider = (ui) =>
  slider(ui, "context", { label: "Context, tokens", values: CONTEXTS, format: three });
