// The parts of a decoder's memory, and what fits on a card: no DOM.
import * as costs from "./transformer_costs.js";

export const PARTS = ["weights", "gradients", "fp32 copy", "optimiser", "activations", "logits", "KV cache"];

/** The published shape with the heads and the window that are asked for: 0, −1 as memory_meter.py says. */
export function shape(model, kvHeads = 0, window = -1) {
  const published = costs.MODELS[model];
  return {
    ...published,
    kvHeads: kvHeads === 0 ? published.kvHeads : kvHeads === -1 ? published.heads : kvHeads,
    window: window === -1 ? published.window : window,
  };
}

/** Bytes of each of PARTS. `options`: task, batch, context, weight and cache (bytes a number), optimiser, rank or 0, checkpointing, flash. */
export function memory(model, options) {
  return options.task === "inference" ? inference(model, options) : training(model, options);
}

function inference(model, { batch, context, weight, cache }) {
  return [costs.parameters(model) * weight, 0, 0, 0, 0, 0, costs.kvBytes(model, { batch, context, bytes: cache })];
}

// Gradients have the width of the trained weights; adapters beside short weights are kept in 16 bits.
function training(model, options) {
  const { weight, optimiser, rank } = options;
  const all = costs.parameters(model);
  const adapter = rank ? costs.adapterSize(model, rank) : 0;
  const width = Math.max(2, weight);
  const states = costs.trainingBytes({
    parameters: rank ? adapter : all,
    trained: rank ? adapter : all,
    bytes: width,
    optimiser,
    copy: width < 4,
  });
  const { layers, logits } = costs.activationBytes(model, options);
  return [
    states.weights + (rank ? all * weight : 0),
    states.gradients,
    states.copy,
    states.optimiser,
    layers,
    logits,
    0,
  ];
}

export const total = (parts) => parts.reduce((sum, part) => sum + part, 0);

/** The most sequences that fit on a card with these options, 0 where not even one does. */
export function largestBatch(model, options, capacity) {
  const size = (batch) => total(memory(model, { ...options, batch }));
  const each = size(2) - size(1);
  return Math.max(0, Math.floor((capacity - (size(1) - each)) / each));
}
