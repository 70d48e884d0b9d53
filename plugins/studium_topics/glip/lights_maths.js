// A caption's tokens, their vectors, probabilities of regions and words, phrases, and suppression, on flat arrays. No DOM.

/** The tokens of a caption: words and full stops, in lower case. */
export const tokensOf = (caption) => caption.toLowerCase().match(/[a-z]+|\./g) ?? [];

/** Words of a caption that the vocabulary does not have, each once. */
export const unknownWords = (caption, vocabulary) =>
  [...new Set(tokensOf(caption))].filter((word) => !vocabulary.includes(word));

/** The phrases of tokens, split at full stops: [{text, tokens}] with the places of their words. */
export function phrasesOf(tokens) {
  const phrases = [];
  let open = null;
  tokens.forEach((word, place) => {
    if (word === ".") return (open = null);
    if (!open) phrases.push((open = { text: "", tokens: [] }));
    open.text += (open.text && " ") + word;
    open.tokens.push(place);
  });
  return phrases;
}

/** Vectors (M, width) flat of M tokens: `reader` is {vocabulary, embedding (V, width), kernel (3, width, width)}, flat. */
export function wordVectors({ vocabulary, embedding, kernel }, tokens) {
  const width = embedding.length / vocabulary.length;
  const ids = tokens.map((word) => vocabulary.indexOf(word));
  const out = new Float64Array(tokens.length * width);
  tokens.forEach((_, place) => {
    for (let tap = 0; tap < 3; tap++) {
      const id = ids[place + tap - 1] ?? -1;
      if (id < 0) continue;
      for (let to = 0; to < width; to++) {
        const row = (tap * width + to) * width;
        for (let from = 0; from < width; from++)
          out[place * width + to] += kernel[row + from] * embedding[id * width + from];
      }
    }
  });
  return out;
}

/** Probabilities (N, M) flat of N regions (N, width) with M word vectors (M, width). */
export function probabilities(regions, words, width, logScale, bias) {
  const [count, tokens, scale] = [regions.length / width, words.length / width, Math.exp(logScale)];
  const out = new Float64Array(count * tokens);
  for (let region = 0; region < count; region++) {
    for (let token = 0; token < tokens; token++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += regions[region * width + i] * words[token * width + i];
      out[region * tokens + token] = 1 / (1 + Math.exp(-scale * sum - bias));
    }
  }
  return out;
}

/** The score of each of N regions for the tokens at `places`: the mean of their probabilities. */
export function scoresOf(table, tokens, places) {
  const count = tokens ? table.length / tokens : 0;
  return Array.from(
    { length: count },
    (_, region) => places.reduce((sum, place) => sum + table[region * tokens + place], 0) / places.length,
  );
}

/** The intersection over union of boxes i and j of a flat (N, 4) array. */
export function overlapOf(boxes, i, j) {
  const [a, b] = [boxes.subarray(4 * i, 4 * i + 4), boxes.subarray(4 * j, 4 * j + 4)];
  const shared =
    Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return shared / (area(a) + area(b) - shared);
}

/** Places of boxes that remain, best first: scores of at least `threshold`, no better one overlapping more than `overlap`. */
export function remaining(boxes, scores, threshold, overlap) {
  const flat = Float64Array.from(boxes);
  const order = scores.map((_, place) => place).filter((place) => scores[place] >= threshold);
  order.sort((i, j) => scores[j] - scores[i]);
  const kept = [];
  for (const place of order) if (kept.every((other) => overlapOf(flat, place, other) <= overlap)) kept.push(place);
  return kept;
}
