// CLIP's text tower, cosines, softmaxes, loss and retrieval on flat arrays. No DOM.

/** The words of a sentence, in lower case. */
export const wordsOf = (sentence) => sentence.toLowerCase().match(/[a-z]+/g) ?? [];

/** Words that stand in sentences and not in the vocabulary, each once. */
export const unknownWords = (sentences, vocabulary) =>
  [...new Set(sentences.flatMap(wordsOf))].filter((word) => !vocabulary.includes(word));

/**
 * Features (N, width) flat of N sentences: the mean vector of the known words, one hidden layer of ReLUs, a linear map.
 * `tower`: {vocabulary, embedding (V, inner), up (hidden, inner), bias (hidden), down (width, hidden)}, arrays flat.
 */
export function textFeatures(tower, sentences) {
  const hidden = tower.bias.length;
  const [inner, width] = [tower.up.length / hidden, tower.down.length / hidden];
  const out = new Float64Array(sentences.length * width);
  sentences.forEach((sentence, row) => {
    const middle = product(tower.up, meanWord(tower, sentence, inner), hidden).map((value, i) =>
      Math.max(0, value + tower.bias[i]),
    );
    out.set(product(tower.down, middle, width), row * width);
  });
  return out;
}

function meanWord({ vocabulary, embedding }, sentence, inner) {
  const places = wordsOf(sentence)
    .map((word) => vocabulary.indexOf(word))
    .filter((place) => place >= 0);
  const mean = new Float64Array(inner);
  for (const place of places) {
    for (let i = 0; i < inner; i++) mean[i] += embedding[place * inner + i] / places.length;
  }
  return mean;
}

function product(matrix, vector, rows) {
  const columns = vector.length;
  const out = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) out[row] += matrix[row * columns + i] * vector[i];
  }
  return out;
}

/** Rows of a flat (count, width) array, each of length 1; a row of zeros stays one. */
export function unitRows(flat, count) {
  const width = flat.length / count;
  const out = Float64Array.from(flat);
  for (let row = 0; row < count; row++) {
    const part = out.subarray(row * width, (row + 1) * width);
    const length = Math.hypot(...part);
    if (length) part.forEach((value, i) => (part[i] = value / length));
  }
  return out;
}

function meanRow(flat, count) {
  const mean = new Float64Array(flat.length / count);
  flat.forEach((value, i) => (mean[i % mean.length] += value / count));
  return mean;
}

/** Unit rows of pictures and texts, moved towards each other by `amount` of the gap between their means; and that gap. */
export function closer(pictures, texts, count, amount) {
  const units = [pictures, texts].map((flat) => unitRows(flat, count));
  const [here, there] = units.map((flat) => meanRow(flat, count));
  const gap = here.map((value, i) => value - there[i]);
  const moved = units.map((flat, side) =>
    flat.map((value, i) => value + (side ? 0.5 : -0.5) * amount * gap[i % gap.length]),
  );
  const features = moved.map((flat) => unitRows(flat, count));
  const [left, right] = features.map((flat) => meanRow(flat, count));
  return { features, gap: Math.hypot(...left.map((value, i) => value - right[i])) };
}

/** Cosines (N, N) flat of unit rows: row i is picture i with every text. */
export function cosines([pictures, texts], count) {
  const width = pictures.length / count;
  const out = new Float64Array(count * count);
  for (let at = 0; at < out.length; at++) {
    const [i, j] = [Math.floor(at / count) * width, (at % count) * width];
    for (let k = 0; k < width; k++) out[at] += pictures[i + k] * texts[j + k];
  }
  return out;
}

const transposed = (table, count) => table.map((_, at) => table[(at % count) * count + Math.floor(at / count)]);

/** The softmax of each row of cosines over the temperature. */
export function softmaxRows(table, count, temperature) {
  const out = new Float64Array(table.length);
  for (let row = 0; row < count; row++) {
    const part = table.slice(row * count, (row + 1) * count).map((value) => value / temperature);
    const top = part.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = part.map((value) => Math.exp(value - top));
    const sum = powers.reduce((a, b) => a + b, 0);
    out.set(
      powers.map((value) => value / sum),
      row * count,
    );
  }
  return out;
}

/** The softmax of each column. */
export const softmaxColumns = (table, count, temperature) =>
  transposed(softmaxRows(transposed(table, count), count, temperature), count);

/** CLIP's symmetric loss. */
export function loss(table, count, temperature) {
  const right = (each) =>
    diagonal(each, count).reduce((sum, share) => sum - Math.log(Math.max(share, 1e-300)), 0) / count;
  return (right(softmaxRows(table, count, temperature)) + right(softmaxColumns(table, count, temperature))) / 2;
}

/** The entries [i, i]. */
export const diagonal = (table, count) => Array.from({ length: count }, (_, i) => table[i * (count + 1)]);

/** For each picture whether its own text is nearer than all others: a tie is not enough. `columns`: for each text. */
export function finds(table, count, columns = false) {
  const rows = columns ? transposed(table, count) : table;
  return Array.from({ length: count }, (_, i) => {
    const row = rows.slice(i * count, (i + 1) * count);
    return row.every((value, j) => j === i || value < row[i]);
  });
}

/** The nearest picture of each text; of several, the first. */
export function nearestPicture(table, count) {
  const columns = transposed(table, count);
  return Array.from({ length: count }, (_, j) => {
    const column = columns.slice(j * count, (j + 1) * count);
    return column.indexOf(Math.max(...column));
  });
}
