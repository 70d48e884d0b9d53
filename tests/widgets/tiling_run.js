// Runs all tiles on given arrays, for the tests: the result, and the worst error after any tile.
import { errors, scores, start, tiles, update } from "../../widgets/studium_widgets/tiling_maths.js";

export function run({ shape, q, k, v }) {
  const { size, width } = shape;
  const input = { q: q.flat(), k: k.flat(), v: v.flat() };
  const S = scores(input, size, width);
  const state = start(size, width);
  let worst = 0;
  for (const tile of tiles(shape)) {
    update(state, S, input.v, shape, tile);
    worst = Math.max(worst, ...errors(state, S, input.v, size, width));
  }
  return { out: state.acc.map((value, i) => value / state.l[Math.floor(i / width)]), worst };
}
