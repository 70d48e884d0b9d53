// A linear VAE at its optimum: each principal direction is kept above a border, and shrunk. No DOM.

/** The least variance that a direction needs; `size` is the number of pixels of an image. */
export function border(weight, reduction, size, latents) {
  return (weight / 2) * (reduction === "mean" ? size / latents : 1);
}

/** {active, lost}: how many latents carry something, and the share of all variance that is lost, noise included. */
export function optimum(variances, latents, least) {
  let [active, lost, all] = [0, 0, 0];
  variances.forEach((variance, i) => {
    const kept = i < latents && variance > least;
    if (kept) active += 1;
    lost += kept ? least : variance;
    all += variance;
  });
  return { active, lost: lost / all };
}

/** Images (n × D) from the means of their codes: `active` directions, each shrunk by 1 − least / variance. */
export function reconstructions({ images, count, mean, variances, directions }, active, least) {
  const size = mean.length;
  const out = new Float64Array(count * size);
  for (let image = 0; image < count; image++) {
    for (let at = 0; at < size; at++) out[image * size + at] = mean[at];
    for (let k = 0; k < active; k++) {
      let along = 0;
      for (let at = 0; at < size; at++) along += directions[k * size + at] * (images[image * size + at] - mean[at]);
      const kept = along * (1 - least / variances[k]);
      for (let at = 0; at < size; at++) out[image * size + at] += kept * directions[k * size + at];
    }
  }
  return out;
}
