// Two pictures of the plane at one t: data with noise added, and the sampler's particles, over the same exact density.
import { fit } from "./controls/canvas.js";
import { h, put } from "./controls/element.js";
import { table } from "./controls/palette.js";
import { density, noised } from "./noise_schedule_maths.js";
import { MARKED, PARTICLES } from "./noise_schedule_model.js";

const SIDE = 120; // cells of the density
const BANDS = 9;
const DEEPEST = 135; // of the palette's 256 colours, so that particles stand out
const POINTS = 100; // of a path, at most

/** `draw(now)` with what `model` reads. Gives {element}. */
export function planes(ui) {
  const [forward, backward] = [
    "Noise added: the data at the level t",
    "Noise taken away: the sampler's particles, and 30 of their paths",
  ].map(plane);
  const element = h("div", { class: "st-noise-planes" }, forward.element, backward.element);
  const shade = shading();
  const points = new Float64Array(2 * PARTICLES);
  const draw = (now) => {
    const size = Math.max(120, Math.floor((ui.widthOf(element) - 10) / 2));
    const image = shade(now.mix, now.abar, ui.theme.dark);
    const frame = { size, scale: size / (2 * now.mix.half), theme: ui.theme };
    noised(now.draws, now.abar, points);
    paintForward(fit(forward.canvas, size, size), frame, image, points);
    paintBackward(fit(backward.canvas, size, size), frame, image, now);
    const n = now.steps.wrong.times.length;
    put(forward.note, "textContent", now.t < 0 ? "the data x₀" : `at t = ${now.t}`);
    put(backward.note, "textContent", now.done === n ? `all ${n} steps` : `step ${now.done} of ${n}`);
  };
  return { element, draw };
}

function plane(label) {
  const canvas = h("canvas", { role: "img", "aria-label": label });
  const note = h("span", { class: "st-value" });
  const title = label.split(":")[0];
  return { canvas, note, element: h("figure", {}, h("figcaption", {}, h("b", {}, title), note), canvas) };
}

// The density of x_t in bands of the palette, computed again only where t or the mixture has changed.
function shading() {
  const image = document.createElement("canvas");
  Object.assign(image, { width: SIDE, height: SIDE });
  const context = image.getContext("2d");
  const pixels = context.createImageData(SIDE, SIDE);
  const [out, values] = [new Uint32Array(pixels.data.buffer), new Float32Array(SIDE * SIDE)];
  let last = [];
  return (...given) => {
    if (given.every((part, i) => part === last[i])) return image;
    last = given;
    const [mix, abar, dark] = given;
    density(mix, abar, SIDE, mix.half, values);
    let top = 0;
    for (let i = 0; i < values.length; i++) if (values[i] > top) top = values[i];
    const colours = table("sequential", dark);
    for (let i = 0; i < out.length; i++)
      out[i] = colours[Math.round((Math.ceil(BANDS * Math.sqrt(values[i] / top) - 0.12) / BANDS) * DEEPEST)];
    context.putImageData(pixels, 0, 0);
    return image;
  };
}

function ground(context, { size, theme }, image) {
  context.globalAlpha = 1; // the frame before left its own
  context.drawImage(image, 0, 0, size, size);
  context.fillStyle = theme.text;
  context.globalAlpha = 0.72;
}

function paintForward(context, frame, image, points) {
  ground(context, frame, image);
  for (let i = 0; i < points.length; i += 2) spot(context, frame, points[i], points[i + 1]);
}

function spot(context, { size, scale }, x, y) {
  context.fillRect(size / 2 + x * scale - 1.2, size / 2 - y * scale - 1.2, 2.4, 2.4);
}

function paintBackward(context, frame, image, { mix, crowd, done, steps, eta }) {
  ground(context, frame, image);
  const { ways, stride, ready } = crowd;
  for (let p = MARKED; p < ready; p++)
    spot(context, frame, ways[p * stride + 2 * done], ways[p * stride + 2 * done + 1]);
  context.globalAlpha = 1;
  const count = Math.min(MARKED, ready);
  const recent = Math.max(0, done - Math.max(3, Math.round(stride / 16)));
  if (recent && eta < 1) paths(context, frame, crowd, [0, recent], count, 0.65 * (1 - eta));
  if (done) paths(context, frame, crowd, [recent, done], count, 0.9);
  if (steps.wrong.clip < Infinity) outline(context, frame, mix.box);
  heads(context, frame, crowd, done, count);
}

// The older part of a path is the fainter the more random it is, for 30 tangles would hide the picture.
function paths(context, { size, scale, theme }, { ways, stride }, [first, last], count, alpha) {
  const every = Math.max(1, Math.ceil((last - first) / POINTS));
  context.beginPath();
  for (let p = 0; p < count; p++) {
    const from = p * stride;
    for (let i = first; i <= last; i = i < last ? Math.min(last, i + every) : last + 1) {
      const [x, y] = [size / 2 + ways[from + 2 * i] * scale, size / 2 - ways[from + 2 * i + 1] * scale];
      if (i > first) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
  }
  context.strokeStyle = theme.muted;
  context.globalAlpha = alpha;
  context.lineWidth = 1;
  context.stroke();
  context.globalAlpha = 1;
}

function heads(context, { size, scale, theme }, { ways, stride }, done, count) {
  context.beginPath();
  for (let p = 0; p < count; p++) {
    const at = p * stride + 2 * done;
    const [x, y] = [size / 2 + ways[at] * scale, size / 2 - ways[at + 1] * scale];
    context.moveTo(x + 3.4, y);
    context.arc(x, y, 3.4, 0, 7);
  }
  context.fillStyle = theme.text;
  context.strokeStyle = theme.surface;
  context.lineWidth = 1.2;
  context.fill();
  context.stroke();
}

function outline(context, { size, scale, theme }, box) {
  context.strokeStyle = theme.text;
  context.lineWidth = 1;
  context.setLineDash([4, 3]);
  context.strokeRect(size / 2 - box * scale, size / 2 - box * scale, 2 * box * scale, 2 * box * scale);
  context.setLineDash([]);
}
