// One Gaussian in another under guidance: every prediction is affine in x, so a step maps a Gaussian to a Gaussian. No DOM.

export const WIDE = 2; // the variance of all data, whose mean is 0

/** ᾱ (T,) of betas that rise from 1e-4 to 0.02, times 1000 / T, none above 0.999. */
export function linearAbar(T) {
  const abar = new Float64Array(T);
  for (let t = 0, left = 1; t < T; t++) {
    const beta = (1000 / T) * (1e-4 + (0.02 - 1e-4) * (T === 1 ? 0 : t / (T - 1)));
    left *= 1 - Math.min(beta, 0.999);
    abar[t] = left;
  }
  return abar;
}

/** {mean, variance} of the density proportional to p(x | c)^s p(x)^(1 − s), with N(mean, variance) given the label. */
export function tilted({ mean, variance, scale }) {
  const precision = scale / variance + (1 - scale) / WIDE;
  return { mean: (scale * mean) / variance / precision, variance: 1 / precision };
}

/** {mean, variance} of what DDPM (eta 1) or DDIM (eta 0) makes of N(0, 1), guided where σ ≤ high. */
export function sampled({ mean, variance, scale, high }, abar, eta) {
  const now = { mean: 0, variance: 1 };
  for (let t = abar.length - 1; t >= 0; t--) {
    const [level, before] = [abar[t], t ? abar[t - 1] : 1];
    const noise = Math.sqrt(1 - level);
    const sigma = noise / Math.sqrt(level);
    const s = sigma <= high ? scale : 1;
    const own = level * variance + 1 - level;
    const slope = noise * (s / own + (1 - s) / (level * WIDE + 1 - level));
    const offset = (-s * noise * Math.sqrt(level) * mean) / own;
    const fresh = eta ** 2 * ((1 - before) / (1 - level)) * (1 - level / before);
    const weight = Math.sqrt(Math.max(0, 1 - before - fresh)) - (Math.sqrt(before) * noise) / Math.sqrt(level);
    const factor = Math.sqrt(before / level) + weight * slope;
    now.mean = factor * now.mean + weight * offset;
    now.variance = factor ** 2 * now.variance + fresh;
  }
  return now;
}

/** The density of {mean, variance} at each of x (N,). */
export function density({ mean, variance }, x) {
  return Float64Array.from(
    x,
    (value) => Math.exp(-((value - mean) ** 2) / (2 * variance)) / Math.sqrt(2 * Math.PI * variance),
  );
}
