// A control of three numbers, small enough to see all its gradients; and how well images cover a drawing. No DOM.

const PIXELS = { image: [0.9, -0.4, 0.6, -0.8, 0.3, -0.7, 0.5, -0.2], hint: [0, 0, 1, 1, 1, 0, 0, 0] };
const [START, AWAKE, RATE] = [0.9, 0.6, 0.4]; // the copy's weight, a drawn weight, and the rate of the steps
const INK = 140.25; // the byte of 0.1 on the scale from −1 to 1

/**
 * The first `steps` steps of gradient descent on residual = out · copy · (image + in · hint), pixel by pixel.
 * zeroOut, zeroIn: whether that weight starts at 0. seesImage: whether the copy gets the image as well. pooled: whether
 * each pixel gets the mean of the hint. Gives, before each step and after the last, {out, copy, in}: sizes of the
 * gradients, and {loss, moved}: the error, and the largest change of the base's answer.
 */
export function descent({ zeroOut, zeroIn, seesImage, pooled }, steps) {
  const { image, hint } = PIXELS;
  const mean = hint.reduce((sum, value) => sum + value, 0) / hint.length;
  const seen = hint.map((value, p) => [seesImage ? image[p] : 0, pooled ? mean : value]);
  const target = hint.map((value, p) => 0.6 * value + 0.3 * image[p]);
  const weights = { out: zeroOut ? 0 : AWAKE, copy: START, in: zeroIn ? 0 : AWAKE };
  return Array.from({ length: steps + 1 }, () => {
    const { row, gradient } = audited(weights, seen, target);
    for (const name of Object.keys(weights)) weights[name] -= RATE * gradient[name];
    return row;
  });
}

function audited(weights, seen, target) {
  const gradient = { out: 0, copy: 0, in: 0 };
  let [loss, moved] = [0, 0];
  seen.forEach(([x, c], p) => {
    const inner = x + weights.in * c;
    const residual = weights.out * weights.copy * inner;
    const error = residual - target[p];
    loss += error ** 2 / (2 * seen.length);
    moved = Math.max(moved, Math.abs(residual));
    gradient.out += (error * weights.copy * inner) / seen.length;
    gradient.copy += (error * weights.out * inner) / seen.length;
    gradient.in += (error * weights.out * weights.copy * c) / seen.length;
  });
  const sizes = Object.fromEntries(Object.entries(gradient).map(([name, value]) => [name, Math.abs(value)]));
  return { gradient, row: { ...sizes, loss, moved } };
}

/** Intersection over union of two drawings, strings of 0 and 1; 1 where both are empty. */
export function overlap(one, other) {
  let [both, either] = [0, 0];
  for (let p = 0; p < one.length; p++) {
    const [here, there] = [one[p] === "1", other[p] === "1"];
    if (here && there) both += 1;
    if (here || there) either += 1;
  }
  return either ? both / either : 1;
}

/** The drawing that the ink of an image makes: bytes (pixels · 3), ink where the brightest channel is above 0.1. */
export function inkOf(bytes) {
  return Array.from({ length: bytes.length / 3 }, (_, p) =>
    Math.max(bytes[3 * p], bytes[3 * p + 1], bytes[3 * p + 2]) > INK ? "1" : "0",
  ).join("");
}

/** Which of `drawings` covers `drawing` best: {index, overlap}. */
export function nearest(drawing, drawings) {
  const found = drawings.map((other) => overlap(drawing, other));
  const best = Math.max(...found);
  return { index: found.indexOf(best), overlap: best };
}
