// The points of a model's work on a roofline: no DOM.
import { shape } from "./memory_meter_maths.js";
import { attainable, attention, decode, prefill, seconds } from "./transformer_costs.js";

/**
 * The points: [{name, flops, bytes, intensity, rate, time, bound}] at best on a card, "moved" what dragging the point
 * changes. Then those that were measured: [{name, intensity, rate, share}], share of the roof.
 */
export function points({ model, kvHeads, batch, context, weightBytes, cacheBytes, card }) {
  const form = shape(model, kvHeads);
  const options = { batch, context, weightBytes, cacheBytes };
  const seen = form.window ? Math.min(context, form.window) : context;
  const cached = {
    flops: 4 * form.heads * form.headDim * seen * batch,
    bytes: 2 * form.kvHeads * form.headDim * seen * batch * cacheBytes,
  };
  const work = [
    { name: "decoding a token", moved: "batch", ...decode(form, options) },
    { name: "reading the prompt", moved: "context", ...prefill(form, options) },
    { name: "attention while decoding", ...cached },
    { name: "attention to the prompt, standard", ...attention(form, { batch, context, flash: false }) },
    { name: "attention to the prompt, flash", ...attention(form, { batch, context, flash: true }) },
  ];
  return work.map((item) => placed(item, card));
}

function placed(item, card) {
  const intensity = item.flops / item.bytes;
  const bound = intensity < card.peak / card.bandwidth ? "memory" : "compute";
  return { ...item, intensity, bound, rate: attainable(card, intensity), time: seconds(card, item) };
}

/** A kernel that was measured: (kernels, 2) rows of intensity and rate. */
export function measuredPoints(rows, names, card) {
  return names.map((name, i) => {
    const [intensity, rate] = [rows[2 * i], rows[2 * i + 1]];
    return {
      name,
      intensity,
      rate,
      share: rate / attainable(card, intensity),
      bound: intensity < card.peak / card.bandwidth ? "memory" : "compute",
    };
  });
}

/** Of `values`, the one at which `intensityAt` comes nearest to `wanted`, as a ratio. */
export function nearestValue(values, intensityAt, wanted) {
  const far = (value) => Math.abs(Math.log(intensityAt(value) / wanted));
  return values.reduce((best, value) => (far(value) < far(best) ? value : best));
}
