// The network and the film of the page, called with plain data.
import { film } from "../../plugins/studium_topics/kits/film_maths.js";
import { unet, unpack } from "../../plugins/studium_topics/kits/film_unet.js";

const network = ({ tensors, weights, scales, levels, side, widths }) => unet(unpack(tensors, weights, scales), { levels, side, widths });

export function predict(net, x, t, label) {
  return Array.from(network(net)(Float32Array.from(x), t, label));
}

export function states(net, settings) {
  const made = film({ predict: network(net), ...settings, abar: Float64Array.from(settings.abar) });
  while (made.advance());
  return { times: Array.from(made.times), states: made.states.map((state) => state.map((x) => Array.from(x))) };
}

export function secondsOfAStep(net, x, images) {
  const predicted = network(net);
  const input = Float32Array.from(x);
  predicted(input, 5, 0);
  const start = performance.now();
  for (let i = 0; i < 20 * images; i++) predicted(input, i % 50, 0);
  return (performance.now() - start) / 20000;
}
