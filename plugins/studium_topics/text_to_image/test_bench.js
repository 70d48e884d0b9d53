// The painter of the page, called with plain data.
import { painter } from "./bench_maths.js";

export function velocity(layout, weights, scales, z, t, ids) {
  const net = painter(layout, weights, scales);
  return Array.from(net.velocity(Float32Array.from(z), t, net.text(ids)));
}
