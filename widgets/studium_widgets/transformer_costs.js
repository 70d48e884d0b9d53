// Parameters, bytes and floating-point operations of decoders, from their published shapes: no DOM.
// A multiplication with an addition is 2 operations. GB is 10⁹ bytes.

const llama = { gated: true, tied: false, positions: 0, window: 0 };

/** Published shapes. `kvHeads`: key and value heads; `window`: sliding attention, 0 for none; `positions`: learned ones. */
export const MODELS = {
  "tinyllama-1.1b": {
    ...llama,
    name: "TinyLlama 1.1B",
    layers: 22,
    width: 2048,
    heads: 32,
    kvHeads: 4,
    headDim: 64,
    ffn: 5632,
    vocabulary: 32000,
    source: "Zhang et al. 2024, arXiv:2401.02385",
  },
  "llama-3.2-1b": {
    ...llama,
    name: "Llama 3.2 1B",
    tied: true,
    layers: 16,
    width: 2048,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    ffn: 8192,
    vocabulary: 128256,
    source: "Meta 2024, the model's configuration",
  },
  "llama-2-7b": {
    ...llama,
    name: "Llama 2 7B",
    layers: 32,
    width: 4096,
    heads: 32,
    kvHeads: 32,
    headDim: 128,
    ffn: 11008,
    vocabulary: 32000,
    source: "Touvron et al. 2023, arXiv:2307.09288",
  },
  "mistral-7b": {
    ...llama,
    name: "Mistral 7B",
    window: 4096,
    layers: 32,
    width: 4096,
    heads: 32,
    kvHeads: 8,
    headDim: 128,
    ffn: 14336,
    vocabulary: 32000,
    source: "Jiang et al. 2023, arXiv:2310.06825",
  },
  "llama-3-8b": {
    ...llama,
    name: "Llama 3 8B",
    layers: 32,
    width: 4096,
    heads: 32,
    kvHeads: 8,
    headDim: 128,
    ffn: 14336,
    vocabulary: 128256,
    source: "Meta 2024, arXiv:2407.21783",
  },
  "llama-2-13b": {
    ...llama,
    name: "Llama 2 13B",
    layers: 40,
    width: 5120,
    heads: 40,
    kvHeads: 40,
    headDim: 128,
    ffn: 13824,
    vocabulary: 32000,
    source: "Touvron et al. 2023, arXiv:2307.09288",
  },
  "llama-3-70b": {
    ...llama,
    name: "Llama 3 70B",
    layers: 80,
    width: 8192,
    heads: 64,
    kvHeads: 8,
    headDim: 128,
    ffn: 28672,
    vocabulary: 128256,
    source: "Meta 2024, arXiv:2407.21783",
  },
  "gpt-3-175b": {
    gated: false,
    tied: true,
    positions: 2048,
    window: 0,
    name: "GPT-3 175B",
    layers: 96,
    width: 12288,
    heads: 96,
    kvHeads: 96,
    headDim: 128,
    ffn: 49152,
    vocabulary: 50257,
    source: "Brown et al. 2020, arXiv:2005.14165, table 2.1",
  },
};

/** Accelerators by their makers' data sheets: `memory` bytes, `bandwidth` bytes a second, `peak` dense bf16 (T4: fp16) FLOP/s. */
export const CARDS = {
  t4: { name: "T4, 16 GB", memory: 16e9, bandwidth: 320e9, peak: 65e12 },
  "rtx-4090": { name: "RTX 4090, 24 GB", memory: 24e9, bandwidth: 1008e9, peak: 165.2e12 },
  "a100-80": { name: "A100, 80 GB", memory: 80e9, bandwidth: 2039e9, peak: 312e12 },
  h100: { name: "H100, 80 GB", memory: 80e9, bandwidth: 3350e9, peak: 989e12 },
  h200: { name: "H200, 141 GB", memory: 141e9, bandwidth: 4800e9, peak: 989e12 },
  mi300x: { name: "MI300X, 192 GB", memory: 192e9, bandwidth: 5300e9, peak: 1307e12 },
};

export const BYTES = { fp32: 4, bf16: 2, int8: 1, int4: 0.5 };

/** Numbers in all weights of a model. */
export function parameters({ layers, width: d, heads, kvHeads, headDim, ffn, vocabulary, gated, tied, positions }) {
  const attention = d * headDim * (2 * heads + 2 * kvHeads);
  const biases = gated ? 0 : headDim * (heads + 2 * kvHeads) + ffn + 2 * d;
  const norms = gated ? 2 * d : 4 * d;
  const layer = attention + (gated ? 3 : 2) * d * ffn + biases + norms;
  return layers * layer + vocabulary * d * (tied ? 1 : 2) + positions * d + (gated ? d : 2 * d);
}

/** Numbers that every token is multiplied with: all weights but the tables that are only looked up. */
export const multiplied = (model) =>
  parameters(model) - model.positions * model.width - (model.tied ? 0 : model.vocabulary * model.width);

/** Bytes of keys and values: 2 × layers × heads × head size × tokens × batch; a window keeps its last tokens only. */
export function kvBytes({ layers, kvHeads, headDim, window }, { batch, context, bytes }) {
  return 2 * layers * kvHeads * headDim * (window ? Math.min(context, window) : context) * batch * bytes;
}

/** Numbers in A and B where the query and value weights (width × width) of each layer get an adapter of rank r. */
export const adapterSize = ({ layers, width }, rank) => 2 * layers * rank * (width + width);

/** Bytes that an optimiser keeps for each trained number, beside a copy in fp32 where the weights are shorter. */
export const OPTIMISERS = { sgd: 0, momentum: 4, adam: 8, "adam-8bit": 2 };

/** Bytes to train: of `parameters` weights, of which `trained` have gradients and optimiser states; `copy`: keep fp32 too. */
export function trainingBytes({ parameters: all, trained, bytes, gradient = bytes, optimiser = "adam", copy = false }) {
  return {
    weights: bytes * all,
    gradients: gradient * trained,
    copy: copy ? 4 * trained : 0,
    optimiser: OPTIMISERS[optimiser] * trained,
  };
}

/**
 * Bytes of what one layer keeps in 16 bits for the backward pass, `tokens` = batch × context in all.
 * GPT with dropout: tokens × width × (34 + 5 heads × context / width), Korthikanti et al. 2022, equation 1. Gated, no
 * dropout: both norms' inputs and outputs, q, k, v, the attention's output, four arrays of the wide layer, and the
 * probabilities. `flash`: they are recomputed instead.
 */
export function layerActivations({ width, heads, kvHeads, headDim, ffn, gated }, { batch, context, flash }) {
  const probabilities = flash ? 0 : (gated ? 2 : 5) * heads * context;
  const rest = gated ? 8 * width + 4 * headDim * (heads + kvHeads) + 8 * ffn : 34 * width;
  return batch * context * (rest + probabilities);
}

/** {layers, logits}: bytes of activations. `checkpointing` keeps each layer's input, and one layer at a time in full. */
export function activationBytes(model, options) {
  const { batch, context, checkpointing } = options;
  const one = layerActivations(model, options);
  const inputs = 2 * batch * context * model.width * model.layers;
  return { layers: checkpointing ? inputs + one : model.layers * one, logits: 4 * batch * context * model.vocabulary };
}

/** {flops, bytes} of one token for each of `batch` sequences that have `context` tokens behind them. */
export function decode(model, { batch, context, weightBytes, cacheBytes }) {
  const seen = model.window ? Math.min(context, model.window) : context;
  const attention = 4 * model.layers * model.heads * model.headDim * seen * batch;
  const cache = kvBytes(model, { batch, context, bytes: cacheBytes });
  return { flops: 2 * multiplied(model) * batch + attention, bytes: multiplied(model) * weightBytes + cache };
}

/** {flops, bytes} of reading a prompt of `context` tokens for each of `batch`: weights once, keys and values written. */
export function prefill(model, { batch, context, weightBytes, cacheBytes }) {
  const seen = model.window ? Math.min(context, model.window) : context;
  const pairs = seen * context - (seen * (seen - 1)) / 2; // of a query and a key that it may see
  const attention = 4 * model.layers * model.heads * model.headDim * pairs * batch;
  const cache = kvBytes({ ...model, window: 0 }, { batch, context, bytes: cacheBytes });
  return { flops: 2 * multiplied(model) * batch * context + attention, bytes: multiplied(model) * weightBytes + cache };
}

/**
 * {flops, bytes} of one layer's attention over a whole prompt, no mask, 16 bits. Standard: scores and probabilities are
 * written and read, 4 N² numbers a head. `rows`: queries in a block of FlashAttention-2, which reads all keys and values
 * once a block.
 */
export function attention({ heads, headDim }, { batch, context: N, flash, rows = 128 }) {
  const numbers = flash ? 2 * N * headDim * Math.ceil(N / rows) + 2 * N * headDim : 4 * N * N + 4 * N * headDim;
  return { flops: 4 * batch * heads * N * N * headDim, bytes: 2 * batch * heads * numbers };
}

/** The roofline: FLOP/s that a card can reach at an arithmetic intensity, in operations a byte. */
export const attainable = ({ peak, bandwidth }, intensity) => Math.min(peak, bandwidth * intensity);

/** Seconds that work takes at best: the longer of computing and moving. */
export const seconds = ({ peak, bandwidth }, { flops, bytes }) => Math.max(flops / peak, bytes / bandwidth);
