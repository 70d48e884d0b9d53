// The network and the film of the page, called with plain data.
import { film } from "../../plugins/studium_topics/kits/film_maths.js";
import { unpack } from "../../plugins/studium_topics/kits/packing.js";
import { unet } from "../../plugins/studium_topics/kits/unet.js";

function network({ tensors, weights, scales, levels }) {
  const parts = unpack(tensors, weights, scales);
  const labels = parts.get("label.weight");
  const said = (label) => labels.data.subarray(label * labels.shape[1], (label + 1) * labels.shape[1]);
  const net = unet(parts, levels);
  return (x, t, label) => net(x, t, label < 0 ? null : said(label));
}

export function predict(net, x, t, label) {
  return Array.from(network(net)(Float32Array.from(x), t, label));
}

export function states(net, settings) {
  const made = film({ predict: network(net), ...settings, abar: Float64Array.from(settings.abar) });
  while (made.advance());
  return { times: Array.from(made.times), states: made.states.map((state) => state.map((x) => Array.from(x))) };
}

export function millisecondsOfAStep(net, x, images) {
  const predicted = network(net);
  const input = Float32Array.from(x);
  for (let i = 0; i < 20; i++) predicted(input, i, 0);
  const start = performance.now();
  for (let i = 0; i < 20 * images; i++) predicted(input, i % 50, 0);
  return (performance.now() - start) / 20;
}
