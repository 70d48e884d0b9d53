// What an encoder stores and computes, as whole numbers: no DOM.

/** Sizes by name, as in table 1 of the ALBERT paper; F = 4 H. */
export const MODELS = {
  base: { width: 768, layers: 12 },
  large: { width: 1024, layers: 24 },
  xlarge: { width: 2048, layers: 24 },
  xxlarge: { width: 4096, layers: 12 },
};
export const PARTS = ["tables", "projection", "layers", "pooler"];
export const VOCABULARIES = { bert: 30522, albert: 30000 };
const POSITIONS = 512;
const SEGMENTS = 2;

const linear = (from, to) => from * to + to;

/** Parameters by part, in the order of PARTS. `embedding` null: tables of full width and no projection. */
export function stored(model, vocabulary, embedding, sets) {
  const { width, layers } = MODELS[model];
  const e = embedding ?? width;
  const layer = 4 * linear(width, width) + linear(width, 4 * width) + linear(4 * width, width) + 4 * width;
  const tables = (vocabulary + POSITIONS + SEGMENTS + 2) * e;
  return [tables, embedding === null ? 0 : linear(e, width), Math.min(sets, layers) * layer, linear(width, width)];
}

/** Operations of the matrix products for a sentence of `tokens` tokens; looking rows up costs none. */
export function computed(model, embedding, tokens) {
  const { width, layers } = MODELS[model];
  const matrices = 4 * width * width + 2 * width * 4 * width;
  const layer = 2 * tokens * matrices + 4 * tokens * tokens * width;
  return layers * layer + 2 * tokens * (embedding ?? 0) * width + 2 * width * width;
}

/** For each layer, the number of the set that it uses: neighbours share. */
export function uses(layers, sets) {
  const count = Math.min(sets, layers);
  return Array.from({ length: layers }, (_, layer) => Math.floor((layer * count) / layers));
}

export const total = (bill) => bill.reduce((sum, part) => sum + part, 0);
