// The rows and masks of a recipe, as arithmetic on plain arrays: no DOM.
import { uniforms } from "studium_widgets/random.js";

export const [NONE, MASK, RANDOM, KEPT] = [0, 1, 2, 3];
const special = (text) => ({ text, special: true });
const plain = (sentence) =>
  sentence
    .split(/\s+/)
    .filter(Boolean)
    .map((text) => ({ text, special: false }));

/** The rows [{tokens: [{text, special}], note}] that a recipe makes of sentences; `documents` has the document of each. */
export function rowsOf(sentences, documents, recipe, length, seed = 0) {
  return recipe === "full"
    ? fullRows(sentences, documents, length)
    : pairRows(sentences, documents, recipe === "nsp", seed);
}

function fullRows(sentences, documents, length) {
  const rows = [];
  let tokens = [special("<s>")];
  const close = () => {
    const filled = [...tokens, special("</s>")];
    while (filled.length < length) filled.push(special("<pad>"));
    rows.push({ tokens: filled, note: "" });
  };
  sentences.forEach((sentence, i) => {
    const open = tokens.length > 1;
    const border = open && documents[i] !== documents[i - 1] ? [special("</s>")] : [];
    const words = plain(sentence);
    if (open && tokens.length + border.length + words.length + 1 > length) {
      close();
      tokens = [special("<s>"), ...words];
    } else {
      tokens = [...tokens, ...border, ...words];
    }
  });
  close();
  return rows;
}

// Each sentence with the next one of its document; with NSP, half of the second sentences come from another document.
function pairRows(sentences, documents, nsp, seed) {
  const next = uniforms(seed + 77);
  const rows = [];
  for (let i = 0; i + 1 < sentences.length; i++) {
    if (documents[i] !== documents[i + 1]) continue;
    const others = sentences.filter((_, j) => documents[j] !== documents[i]);
    const wrong = next() <= 0.5;
    const draw = Math.ceil(next() * others.length) - 1;
    const second = nsp && wrong && others.length ? others[draw] : sentences[i + 1];
    const note = nsp ? (second === sentences[i + 1] ? "IsNext" : "NotNext") : "";
    rows.push({
      tokens: [special("<s>"), ...plain(sentences[i]), special("</s>"), ...plain(second), special("</s>")],
      note,
    });
  }
  return rows;
}

/** Which mask epoch 1, 2, … takes: 0, 1, 2, … */
export const versionOf = (masking, copies, epoch) =>
  ({ once: 0, copies: (epoch - 1) % copies, dynamic: epoch - 1 })[masking];

/** What mask number `version` does with each of `count` words: NONE, MASK, RANDOM or KEPT. */
export function maskOf(seed, version, count, rate) {
  const next = uniforms(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(version + 1, 0x85ebca6b));
  return Array.from({ length: count }, () => {
    const [chance, kind] = [next(), next()];
    if (chance > rate) return NONE;
    return kind <= 0.8 ? MASK : kind <= 0.9 ? RANDOM : KEPT;
  });
}

/** The expected share of tokens that are asked for at least once in `epoch` epochs. */
export const coverage = (masking, copies, epoch, rate) =>
  1 - (1 - rate) ** { once: 1, copies: Math.min(epoch, copies), dynamic: epoch }[masking];

/** The masks of epochs 1 to `epochs`: an array of arrays. */
export const masksOf = (seed, masking, copies, epochs, count, rate) =>
  Array.from({ length: epochs }, (_, i) => maskOf(seed, versionOf(masking, copies, i + 1), count, rate));

/** The share of words that one of the first `epoch` masks has chosen. */
export function asked(masks, epoch) {
  const count = masks[0].length;
  let found = 0;
  for (let word = 0; word < count; word++) found += masks.slice(0, epoch).some((mask) => mask[word] !== NONE);
  return count ? found / count : 0;
}
