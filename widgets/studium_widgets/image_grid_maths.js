// Images as flat arrays (steps, images, channels, height, width) of whole numbers from 0 to 255: pure functions, no DOM.

/**
 * One image as red, green, blue and opacity of each pixel, row by row: a Uint8ClampedArray.
 * @param {{data: ArrayLike<number>, shape: number[]}} images
 * @param {number} step
 * @param {number} image
 */
export function pixels({ data, shape: [, images, channels, height, width] }, step, image) {
  const size = height * width;
  const start = (step * images + image) * channels * size;
  const out = new Uint8ClampedArray(4 * size).fill(255);
  for (let pixel = 0; pixel < size; pixel++) {
    for (let colour = 0; colour < 3; colour++)
      out[4 * pixel + colour] = data[start + Math.min(colour, channels - 1) * size + pixel];
  }
  return out;
}

/**
 * Of the images from `first` to before `end` of a step: {mean, spread, least, most}, where 0 is `low` and 255 is `high`.
 * @param {{data: ArrayLike<number>, shape: number[]}} images
 * @param {number} step
 * @param {number} first
 * @param {number} end
 * @param {number} low
 * @param {number} high
 */
export function measures({ data, shape: [, images, ...rest] }, step, first, end, low, high) {
  const size = rest.reduce((product, length) => product * length, 1);
  let [sum, squares, least, most] = [0, 0, 255, 0];
  const [from, to] = [(step * images + first) * size, (step * images + end) * size];
  for (let at = from; at < to; at++) {
    const value = data[at];
    sum += value;
    squares += value * value;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const mean = sum / (to - from);
  const unit = (high - low) / 255;
  const spread = unit * Math.sqrt(Math.max(0, squares / (to - from) - mean * mean));
  return { mean: low + unit * mean, spread, least: low + unit * least, most: low + unit * most };
}

/**
 * How many images go into a row of `width` px: `wanted`, halved until each has 44 px; or, of 0 wanted, 8 at most of 72 px.
 * @param {number} wanted
 * @param {number} images
 * @param {number} width
 */
export function columnsFor(wanted, images, width) {
  let columns = Math.min(images, wanted || Math.min(8, Math.floor(width / 82)) || 1);
  while (columns > 1 && width < 44 * columns) columns = Math.ceil(columns / 2);
  return columns;
}
