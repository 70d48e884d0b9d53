// The roofline on a canvas: two logarithmic axes, the roof, numbered points that can be dragged.
import { canvas } from "./controls/canvas.js";
import { h } from "./controls/element.js";
import { keys } from "./controls/keys.js";
import { short } from "./controls/ticks.js";
import { tooltip } from "./controls/tooltip.js";
import { operations, three } from "./memory_meter_words.js";

const MARGIN = { left: 58, right: 26, top: 14, bottom: 40 };
const HEIGHT = 330;
const [LOW, HIGH] = [0.1, 1e5]; // FLOP a byte
const WAYS = { ArrowLeft: ["batch", -1], ArrowRight: ["batch", 1], ArrowDown: ["context", -1], ArrowUp: ["context", 1] };
const ROOM = 52; // px of a power of ten from which each has its number
const REACH = 22; // px from a point at which a pointer takes it

/**
 * `dragged(point, intensity)` while a point with `moved` is dragged; `stepped(axis, by)` on arrow keys: "batch" for left and
 * right, "context" for up and down. `draw({card, points, ghosts})`. Gives {element, draw}.
 */
export function rooflineChart(ui, { label, dragged, stepped }) {
  const { element: picture, fit } = canvas(label);
  const element = h("div", { class: "st-roof" }, picture);
  const tip = tooltip(element);
  const view = { now: null, place: null, held: null };
  const draw = (now) => {
    const width = Math.max(220, ui.widthOf(element) || 600);
    Object.assign(view, { now, place: placing(now.card, width) });
    paint(fit(width, HEIGHT), view, ui.theme);
  };
  steer(ui, picture, view, { dragged, stepped, tip });
  return { element, draw };
}

// x(intensity), y(rate) and back, in px.
function placing({ peak, bandwidth }, width) {
  const [bottom, top] = [Math.log10(bandwidth * LOW), Math.log10(peak * 3)];
  const [x0, x1, y0, y1] = [MARGIN.left, width - MARGIN.right, HEIGHT - MARGIN.bottom, MARGIN.top];
  const share = (value, a, b) => (Math.log10(value) - a) / (b - a);
  const [a, b] = [Math.log10(LOW), Math.log10(HIGH)];
  return {
    x: (intensity) => x0 + share(intensity, a, b) * (x1 - x0),
    y: (rate) => y0 + share(rate, bottom, top) * (y1 - y0),
    intensity: (x) => 10 ** (a + ((x - x0) / (x1 - x0)) * (b - a)),
    rates: powers(bottom, top),
    box: [x0, y1, x1 - x0, y0 - y1], // left, top, width, height
  };
}

function powers(low, high) {
  return Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => 10 ** (Math.ceil(low) + i));
}

function steer(ui, picture, view, { dragged, stepped, tip }) {
  const listen = (type, listener) => picture.addEventListener(type, listener, { signal: ui.signal });
  const near = ({ offsetX, offsetY }, which = () => true) => {
    const distance = (point) => Math.hypot(view.place.x(point.intensity) - offsetX, view.place.y(point.rate) - offsetY);
    const found = view.now.points.filter(which).sort((a, b) => distance(a) - distance(b))[0];
    return found && distance(found) < REACH ? found : null;
  };
  listen("pointerdown", (event) => {
    view.held = near(event, (point) => point.moved);
    if (view.held) picture.setPointerCapture(event.pointerId);
  });
  listen("pointerup", () => (view.held = null));
  listen("pointermove", (event) => {
    if (view.held) return dragged(view.held, view.place.intensity(event.offsetX));
    const point = near(event);
    if (point) tip.show(event.offsetX, event.offsetY, [point.name, `${three(point.intensity)} FLOP a byte`, operations(point.rate, "FLOP/s")]);
    else tip.hide();
  });
  listen("pointerleave", tip.hide);
  keys(ui, picture, WAYS, (way) => stepped(...way));
}

function paint(context, { now, place }, theme) {
  context.font = `12px ${theme.font}`;
  axes(context, place, theme);
  context.save();
  context.beginPath();
  context.rect(...place.box);
  context.clip();
  for (const ghost of now.ghosts) roof(context, place, ghost, theme.muted, 1, [2, 3]);
  roof(context, place, now.card, theme.text, 3);
  ridge(context, place, now.card, theme);
  context.restore();
  const spots = now.points.map(({ intensity, rate }) => [place.x(Math.min(HIGH, Math.max(LOW, intensity))), place.y(rate)]);
  names(context, place, now, spots, theme);
  now.points.forEach((point, i) => mark(context, spots[i], point, i, theme));
}

// The card's name at its roof, and that of each point beside it, where it lies on no other name or point and is not cut off.
function names(context, { y: height, box: [left, top, across, down] }, { points, card }, spots, theme) {
  Object.assign(context, { textAlign: "left", textBaseline: "middle", font: `12px ${theme.font}` });
  const taken = spots.map(([x, y]) => [x - 12, y - 12, x + 12, y + 12]);
  const free = ([a, b, c, d]) => a >= left && c <= left + across && b >= top && d <= top + down && !taken.some(([e, f, g, i]) => a < g && c > e && b < i && d > f);
  const write = (name, places, wide) => {
    const box = places.map(([at, up]) => [at, up - 8, at + wide, up + 8]).find(free);
    if (!box) return;
    taken.push(box);
    context.fillStyle = theme.surface;
    context.fillRect(box[0] - 2, box[1], wide + 4, 16);
    context.fillStyle = theme.text;
    context.fillText(name, box[0], box[1] + 8.5);
  };
  const wide = context.measureText(card.name).width;
  write(card.name, [-14, 14].map((by) => [left + across - wide - 4, height(card.peak) + by]), wide);
  points.forEach(({ name }, i) => {
    const [[x, y], long] = [spots[i], context.measureText(name).width];
    const beside = [[x + 15, y + 12], [x + 15, y], [x - 15 - long, y - 12], [x - 15 - long, y], [x - long / 2, y + 22], [x - long / 2, y - 22]];
    write(name, beside, long);
  });
}

function axes(context, { x, y, rates, box }, theme) {
  const [left, top, across, down] = box;
  Object.assign(context, { strokeStyle: theme.line, fillStyle: theme.muted, lineWidth: 1, textAlign: "center", textBaseline: "top" });
  context.beginPath();
  const every = across < 6 * ROOM ? 2 : 1;
  for (const power of powers(-1, 5).filter((_, i) => i % every === 0)) {
    context.moveTo(x(power), top);
    context.lineTo(x(power), top + down);
    context.fillText(power < 1000 ? short(power) : power.toLocaleString("en"), x(power), top + down + 5);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const rate of rates) {
    context.moveTo(left, y(rate));
    context.lineTo(left + across, y(rate));
    context.fillText(operations(rate, ""), left - 6, y(rate));
  }
  context.stroke();
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText("FLOP/s", left + 5, top + 11);
  context.textAlign = "center";
  context.fillText("arithmetic intensity, FLOP a byte", left + across / 2, HEIGHT - 6);
}

function roof(context, { x, y }, { peak, bandwidth }, colour, width, dash = []) {
  const bend = peak / bandwidth;
  Object.assign(context, { strokeStyle: colour, lineWidth: width, lineJoin: "round" });
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(x(LOW), y(bandwidth * LOW));
  context.lineTo(x(bend), y(peak));
  context.lineTo(x(HIGH), y(peak));
  context.stroke();
  context.setLineDash([]);
}

function ridge(context, { x, y, box }, { peak, bandwidth }, theme) {
  const bend = x(peak / bandwidth);
  Object.assign(context, { strokeStyle: theme.muted, fillStyle: theme.muted, lineWidth: 1, textBaseline: "alphabetic" });
  context.setLineDash([3, 4]);
  context.beginPath();
  context.moveTo(bend, y(peak));
  context.lineTo(bend, box[1] + box[3]);
  context.stroke();
  context.setLineDash([]);
  context.textAlign = "right";
  context.fillText("memory-bound", bend - 6, box[1] + box[3] - 8);
  context.textAlign = "left";
  context.fillText("compute-bound", bend + 6, box[1] + box[3] - 8);
}

// Points at their best are round, measured ones square; the number is that of the list below.
function mark(context, [px, py], { share }, i, theme) {
  Object.assign(context, { fillStyle: share === undefined ? theme.accent : theme.text, strokeStyle: theme.surface, lineWidth: 2 });
  context.beginPath();
  if (share === undefined) context.arc(px, py, 10, 0, 7);
  else context.rect(px - 9, py - 9, 18, 18);
  context.fill();
  context.stroke();
  Object.assign(context, { fillStyle: theme.surface, textAlign: "center", textBaseline: "middle", font: `600 12px ${theme.font}` });
  context.fillText(String(i + 1), px, py + 0.5);
}
