import { canvas } from "./canvas.js";
import { h, put } from "./element.js";
import { keys } from "./keys.js";
import { memo } from "./memo.js";
import { table } from "./palette.js";

const BANDS = 9;
const DEEPEST = 135; // of the palette's 256 colours, so that particles stand out
const STEPS = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

/**
 * A square piece of the plane, [−half, half]², with a shaded ground, arrows, particles and their trails.
 * `moved(x, y)`: a pointer drags, or the arrow keys move, the probe. Gives {element, draw(content)}; the content:
 * `size` px, `half`, `ground` {values 0 to 1, side}, `arrows` [x, y, dx, dy, warmth] five numbers each, dx and dy in px,
 * `points` (N, 2), `trails` [(M, 2), …], `pointers` [{dx, dy, colour, dash, name}] from `probe` [x, y], in px; `rings`
 * [[x, y, radius], …] and `marks` [{x, y, lines, strong}], words in the plane, may be left out.
 */
export function particleField(ui, { label, moved }) {
  const { element: picture, fit } = canvas(label);
  const [title, note] = [h("b"), h("span", { class: "st-value" })];
  const element = h("figure", { class: "st-field" }, h("figcaption", {}, title, note), picture);
  const [shade, speckled] = [shading(), dots()];
  let now = null;
  const draw = (content) => {
    now = content;
    put(title, "textContent", content.title);
    put(note, "textContent", content.note);
    const frame = { ...content, scale: content.size / (2 * content.half), theme: ui.theme };
    paint(fit(content.size, content.size), frame, shade(content.ground, ui.theme.dark), speckled(frame));
  };
  steer(ui, picture, () => now, moved);
  return { element, draw };
}

function steer(ui, picture, read, moved) {
  const listen = (type, listener) => picture.addEventListener(type, listener, { signal: ui.signal });
  const go = (x, y) => {
    const { half } = read();
    moved(...[x, y].map((value) => Math.max(-half, Math.min(half, Number(value.toFixed(3))))));
  };
  const point = (event) => {
    const { half, size } = read();
    go((event.offsetX / size) * 2 * half - half, half - (event.offsetY / size) * 2 * half);
  };
  listen("pointerdown", (event) => {
    picture.setPointerCapture(event.pointerId);
    point(event);
  });
  listen("pointermove", (event) => event.buttons && point(event));
  keys(ui, picture, STEPS, (step, { shiftKey }) => {
    const { half, probe } = read();
    go(...probe.map((value, axis) => value + (step[axis] * half) / (shiftKey ? 8 : 40)));
  });
}

// The ground in bands of the palette, painted again only where its values have changed.
function shading() {
  const image = document.createElement("canvas");
  let last = [];
  return (ground, dark) => {
    if (!ground) return null;
    if (last[0] === ground && last[1] === dark) return image;
    last = [ground, dark];
    const { values, side } = ground;
    Object.assign(image, { width: side, height: side });
    const context = image.getContext("2d");
    const pixels = context.createImageData(side, side);
    const out = new Uint32Array(pixels.data.buffer);
    const colours = table("sequential", dark);
    for (let i = 0; i < out.length; i++)
      out[i] = colours[Math.round((Math.ceil(BANDS * Math.sqrt(values[i]) - 0.12) / BANDS) * DEEPEST)];
    context.putImageData(pixels, 0, 0);
    return image;
  };
}

function paint(context, frame, image, layer) {
  const { size, theme } = frame;
  context.globalAlpha = 1;
  if (image) context.drawImage(image, 0, 0, size, size);
  else Object.assign(context, { fillStyle: theme.raised }).fillRect(0, 0, size, size);
  paintRings(context, frame);
  paintArrows(context, frame);
  paintTrails(context, frame);
  context.globalAlpha = 1;
  context.drawImage(layer, 0, 0, size, size);
  paintPointers(context, frame);
  paintMarks(context, frame);
}

// Where the data are.
function paintRings(context, { rings = [], scale, size, theme }) {
  Object.assign(context, { strokeStyle: theme.muted, lineWidth: 1, globalAlpha: 0.7 });
  context.setLineDash([3, 4]);
  for (const [x, y, radius] of rings) {
    context.beginPath();
    context.arc(size / 2 + x * scale, size / 2 - y * scale, radius * scale, 0, 7);
    context.stroke();
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

// Lines of words, the first of them large, around their place and inside the frame.
function paintMarks(context, { marks = [], scale, size, theme }) {
  for (const { x, y, lines, strong } of marks) {
    const fonts = lines.map((_, i) => (i ? `12px ${theme.font}` : `600 ${strong ? 17 : 13}px ${theme.font}`));
    const wide =
      Math.max(
        ...lines.map((text, i) => {
          Object.assign(context, { font: fonts[i] });
          return context.measureText(text).width;
        }),
      ) /
        2 +
      6;
    const inside = (at, edge) => Math.max(edge, Math.min(size - edge, at));
    const [left, top] = [
      inside(size / 2 + x * scale, wide),
      inside(size / 2 - y * scale, 8 * lines.length + 4) - 8 * (lines.length - 1),
    ];
    lines.forEach((text, i) =>
      write(
        context,
        text,
        left,
        top + 16 * i,
        { font: fonts[i], fillStyle: strong && !i ? theme.accent : theme.text, textAlign: "center" },
        theme,
      ),
    );
  }
}

// Words with a rim in the page's colour, which are read on any ground.
function write(context, text, x, y, style, theme) {
  Object.assign(context, {
    textBaseline: "middle",
    lineJoin: "round",
    lineWidth: 4,
    strokeStyle: theme.surface,
    ...style,
  });
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}

function paintArrows(context, { arrows, scale, size, theme }) {
  context.lineWidth = 1.4;
  for (const warm of [false, true]) {
    context.strokeStyle = warm ? theme.warm : theme.text;
    context.globalAlpha = warm ? 0.95 : 0.42;
    context.beginPath();
    for (let i = 0; i < arrows.length; i += 5) {
      if (arrows[i + 4] > 0.5 !== warm) continue;
      arrow(context, size / 2 + arrows[i] * scale, size / 2 - arrows[i + 1] * scale, arrows[i + 2], -arrows[i + 3]);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

function arrow(context, x, y, dx, dy, head = 3.5) {
  const length = Math.hypot(dx, dy);
  if (!(length > 1)) return;
  const [tipX, tipY] = [x + dx, y + dy];
  const [ux, uy] = [(dx / length) * Math.min(head, length / 2), (dy / length) * Math.min(head, length / 2)];
  context.moveTo(x, y);
  context.lineTo(tipX, tipY);
  context.moveTo(tipX - ux - uy, tipY - uy + ux);
  context.lineTo(tipX, tipY);
  context.lineTo(tipX - ux + uy, tipY - uy - ux);
}

function paintTrails(context, { trails, scale, size, theme }) {
  context.strokeStyle = theme.muted;
  context.globalAlpha = 0.8;
  context.lineWidth = 1.2;
  context.beginPath();
  for (const trail of trails) {
    for (let i = 0; i < trail.length; i += 2) {
      const [x, y] = [size / 2 + trail[i] * scale, size / 2 - trail[i + 1] * scale];
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
  }
  context.stroke();
}

// The particles as pixels of a layer of their own: thousands of rectangles on the canvas would take the whole frame.
function dots() {
  const layer = document.createElement("canvas");
  const context = layer.getContext("2d");
  let [pixels, words] = [null, null];
  const ink = memo(packed);
  return ({ points, size, half, theme }) => {
    const side = Math.round(size * (window.devicePixelRatio || 1));
    if (layer.width !== side) {
      Object.assign(layer, { width: side, height: side });
      pixels = context.createImageData(side, side);
      words = new Uint32Array(pixels.data.buffer);
    }
    words.fill(0);
    speckle(words, side, points, half, ink(theme.text), Math.max(2, Math.round((2.2 * side) / size)));
    context.putImageData(pixels, 0, 0);
    return layer;
  };
}

function speckle(words, side, points, half, ink, width) {
  const scale = side / (2 * half);
  for (let i = 0; i < points.length; i += 2) {
    const [left, top] = [
      Math.round(side / 2 + points[i] * scale - width / 2),
      Math.round(side / 2 - points[i + 1] * scale - width / 2),
    ];
    if (!(left >= 0 && top >= 0 && left + width < side && top + width < side)) continue; // outside, or not walked yet
    for (let y = top; y < top + width; y++) words.fill(ink, y * side + left, y * side + left + width);
  }
}

// A CSS colour as 0xAABBGGRR, three quarters opaque.
function packed(colour) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return ((190 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function paintPointers(context, { pointers, probe, scale, size, theme }) {
  const [x, y] = [size / 2 + probe[0] * scale, size / 2 - probe[1] * scale];
  for (const { dx, dy, colour, dash } of pointers) {
    for (const [style, width] of [
      [theme.surface, 5.5],
      [colour, 3],
    ]) {
      Object.assign(context, { strokeStyle: style, lineWidth: width, lineCap: "round" });
      context.setLineDash(width === 3 ? dash : []);
      context.beginPath();
      arrow(context, x, y, dx, -dy, 8);
      context.stroke();
    }
  }
  context.setLineDash([]);
  context.beginPath();
  context.arc(x, y, 6, 0, 7);
  Object.assign(context, { fillStyle: theme.text, strokeStyle: theme.surface, lineWidth: 2 });
  context.fill();
  context.stroke();
  pointers.forEach((pointer, i) => name(context, pointer, pointers.slice(i + 1), [x, y, size], theme));
}

// The name of an arrow at its tip; none where the tip of a `later` one is as near.
function name(context, { dx, dy, colour, name: text }, later, [x, y, size], theme) {
  const length = Math.hypot(dx, dy);
  if (!text || length < 12 || later.some((other) => Math.hypot(other.dx - dx, other.dy - dy) < 26)) return;
  context.font = `600 12px ${theme.font}`;
  const half = context.measureText(text).width / 2 + 3;
  const middle = x + dx + (dx / length) * (half + 7);
  const style = { font: context.font, fillStyle: colour, textAlign: "center" };
  write(context, text, Math.max(half, Math.min(size - half, middle)), y - dy - 11 * (dy / length), style, theme);
}
