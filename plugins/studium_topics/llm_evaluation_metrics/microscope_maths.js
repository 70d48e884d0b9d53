// The metrics of surface.py and BLEU, with what each one matched. No DOM. All scores are between 0 and 1.

const MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const ARTICLES = new Set(["a", "an", "the"]);
const apart = (text) => text.match(/[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s]/gu) ?? [];
const words = (text) => text.split(/\s+/u).filter(Boolean);
const characters = (text) => [...words(text).join("")];

/** The tokens of a text for BLEU. */
export const cut = {
  spaces: words,
  punctuation: apart,
  lower: (text) => apart(text.toLowerCase()),
  characters,
};

/** The stretches of n neighbouring tokens, each as one string. */
export const stretches = (tokens, n) =>
  Array.from({ length: Math.max(0, tokens.length - n + 1) }, (_, i) => tokens.slice(i, i + n).join("\u0001"));

function counted(list) {
  const counts = new Map();
  for (const one of list) counts.set(one, (counts.get(one) ?? 0) + 1);
  return counts;
}

/** For each n-gram of the hypothesis "match", "clipped" (the reference has fewer of it) or "none". */
export function matches(hypothesis, reference, n) {
  const left = counted(stretches(reference, n));
  return stretches(hypothesis, n).map((gram) => {
    if (!left.has(gram)) return "none";
    const rest = left.get(gram);
    left.set(gram, rest - 1);
    return rest > 0 ? "match" : "clipped";
  });
}

const shared = (hypothesis, reference, n) =>
  matches(hypothesis, reference, n).filter((mark) => mark === "match").length;

/** {precisions: [[matched, all], …] for n = 1 to 4, brevity, score} of token lists. */
export function bleu(hypothesis, reference) {
  const precisions = [1, 2, 3, 4].map((n) => [
    shared(hypothesis, reference, n),
    Math.max(0, hypothesis.length - n + 1),
  ]);
  const brevity = hypothesis.length ? Math.min(1, Math.exp(1 - reference.length / hypothesis.length)) : 0;
  const logs = precisions.map(([matched, all]) => (matched ? Math.log(matched / all) : -Infinity));
  return { precisions, brevity, score: brevity * Math.exp(logs.reduce((sum, log) => sum + log, 0) / 4) };
}

function fScore(common, mine, theirs, beta = 1) {
  if (!common) return 0;
  const [precision, recall] = [common / mine, common / theirs];
  return ((1 + beta ** 2) * precision * recall) / (beta ** 2 * precision + recall);
}

/** The words of a text as rouge-score has them. */
export const rougeWords = (text) => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

export function rougeN(hypothesis, reference, n) {
  const [mine, theirs] = [rougeWords(hypothesis), rougeWords(reference)];
  return fScore(shared(mine, theirs, n), Math.max(0, mine.length - n + 1), Math.max(0, theirs.length - n + 1));
}

/** Pairs [i, j] of one longest common subsequence of two token lists. */
export function common(mine, theirs) {
  const best = Array.from({ length: mine.length + 1 }, () => new Array(theirs.length + 1).fill(0));
  for (let i = mine.length - 1; i >= 0; i--) {
    for (let j = theirs.length - 1; j >= 0; j--) {
      best[i][j] = mine[i] === theirs[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
    }
  }
  const pairs = [];
  let [i, j] = [0, 0];
  while (i < mine.length && j < theirs.length) {
    if (mine[i] === theirs[j]) pairs.push([i++, j++]);
    else if (best[i + 1][j] >= best[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}

export function rougeL(hypothesis, reference) {
  const [mine, theirs] = [rougeWords(hypothesis), rougeWords(reference)];
  return fScore(common(mine, theirs).length, mine.length, theirs.length);
}

/** chrF2: precision and recall averaged over the lengths 1 to 6 that both texts have. */
export function chrf(hypothesis, reference) {
  const [mine, theirs] = [characters(hypothesis), characters(reference)];
  const lengths = [1, 2, 3, 4, 5, 6].filter((n) => mine.length >= n && theirs.length >= n);
  const mean = (tokens) =>
    lengths.reduce((sum, n) => sum + shared(mine, theirs, n) / (tokens.length - n + 1), 0) / lengths.length;
  if (!lengths.length) return 0;
  const [precision, recall] = [mean(mine), mean(theirs)];
  return precision + recall ? (5 * precision * recall) / (4 * precision + recall) : 0;
}

const normalised = (text) =>
  words([...text.toLowerCase()].filter((one) => !MARKS.includes(one)).join("")).filter((word) => !ARTICLES.has(word));

export const exactMatch = (hypothesis, reference) =>
  Number(normalised(hypothesis).join(" ") === normalised(reference).join(" "));

export function tokenF1(hypothesis, reference) {
  const [mine, theirs] = [normalised(hypothesis), normalised(reference)];
  return mine.length || theirs.length ? fScore(shared(mine, theirs, 1), mine.length, theirs.length) : 1;
}
