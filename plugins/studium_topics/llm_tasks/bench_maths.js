// Tokens, lights, positions and the mask of a row, as arithmetic on plain arrays: no DOM.

export const [HIDDEN, OWN, LEAK] = [0, 0.4, 1]; // what a cell of the mask says: not seen, of the same example, of another

/** The tokens [{text, role, special, lit}] of the messages [role, text, role, text, …]. */
export function tokensOf(turns) {
  const tokens = [];
  for (let i = 0; i < turns.length; i += 2) {
    const [role, lit] = [turns[i], turns[i] === "assistant"];
    tokens.push({ text: `[${role.toUpperCase()}]`, role, special: true, lit: false });
    for (const text of turns[i + 1].split(/\s+/).filter(Boolean)) tokens.push({ text, role, special: false, lit });
    tokens.push({ text: "[END]", role, special: true, lit });
  }
  return tokens;
}

/** The tokens of `count` conversations in one row, from number `first` on, each with its `example` and its `place` there. */
export function rowOf(talks, first, count) {
  const chosen = Array.from({ length: count }, (_, i) => talks[(first + i) % talks.length]);
  return chosen.flatMap((turns, example) => tokensOf(turns).map((token, place) => ({ ...token, example, place })));
}

/** Whether the loss sees each token: the "answer", "everything" that something precedes, or the answer "late" by one. */
export function lights(row, loss) {
  if (loss === "everything") return row.map(({ place }) => place > 0);
  if (loss === "late") return row.map((_, at) => at > 0 && row[at - 1].lit);
  return row.map(({ lit }) => lit);
}

/** The position of each token: its place in its example, or in the row. */
export const positions = (row, reset) => row.map(({ place }, at) => (reset ? place : at));

/** Which tokens each token looks at: {data: one of HIDDEN, OWN, LEAK for each pair, leaks: how many of another example}. */
export function maskOf(row, blocks) {
  const n = row.length;
  const data = new Float32Array(n * n);
  let leaks = 0;
  for (let looks = 0; looks < n; looks++) {
    for (let seen = 0; seen <= looks; seen++) {
      const own = row[looks].example === row[seen].example;
      data[looks * n + seen] = own ? OWN : blocks ? HIDDEN : LEAK;
      if (!own && !blocks) leaks += 1;
    }
  }
  return { data, leaks };
}
