// A gated unit over the plane of two inputs, and with its opposite. No DOM.

const logistic = (z) => 1 / (1 + Math.exp(-z));

/** φ(z) of each kind; `beta` is the sharpness of SwiGLU's. */
export function activation(kind, beta) {
  return {
    glu: logistic,
    bilinear: (z) => z,
    reglu: (z) => Math.max(0, z),
    geglu: (z) => z * normal(z),
    swiglu: (z) => z * logistic(beta * z),
  }[kind];
}

// Φ by its power series near 0 and by a continued fraction in the tails.
function normal(z) {
  const x = Math.abs(z);
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  let below = 0;
  if (x < 4) {
    let term = x;
    below = x;
    for (let k = 3; term > 1e-17; k += 2) {
      term *= (x * x) / k;
      below += term;
    }
    below = 0.5 + density * below;
  } else {
    let fraction = x;
    for (let k = 40; k > 0; k--) fraction = x + k / fraction;
    below = 1 - density / fraction;
  }
  return z < 0 ? 1 - below : below;
}

const direction = (degrees) => [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];

/** `at(x1, x2)` → {gate, value, product, exact}; with `pair`, product is that of the unit and its opposite together. */
export function unit({ kind, beta, gateAngle, valueAngle, pair }) {
  const phi = activation(kind, beta);
  const [wg, wu] = [direction(gateAngle), direction(valueAngle)];
  return (x1, x2) => {
    const [z, value] = [wg, wu].map(([a, b]) => a * x1 + b * x2);
    const gate = phi(z);
    return { gate, value, product: gate * value - (pair ? phi(-z) * value : 0), exact: z * value };
  };
}

/** {gate, value, product} over side × side points of [−half, half]², row by row from the top, and `off`. */
export function images(settings, side, half) {
  const at = unit(settings);
  const [gate, value, product] = Array.from({ length: 3 }, () => new Float32Array(side * side));
  let [gap, size] = [0, 0];
  for (let row = 0, cell = 0; row < side; row++) {
    const x2 = half - (2 * half * row) / (side - 1);
    for (let column = 0; column < side; column++, cell++) {
      const found = at((2 * half * column) / (side - 1) - half, x2);
      [gate[cell], value[cell], product[cell]] = [found.gate, found.value, found.product];
      gap += (found.product - found.exact) ** 2;
      size += found.exact ** 2;
    }
  }
  return { gate, value, product, off: size ? Math.sqrt(gap / size) : 0 };
}
