// The roofline on a canvas: two logarithmic axes, the roof, numbered points that can be dragged.
import { canvas, shorten } from "./controls/canvas.js";
import { h } from "./controls/element.js";
import { keys } from "./controls/keys.js";
import { short } from "./controls/ticks.js";
import { tooltip } from "./controls/tooltip.js";
import { operations, three } from "./memory_meter_words.js";

const MARGIN = { left: 58, right: 26, top: 14, bottom: 40 };
const HEIGHT = 350;
const [LOW, HIGH] = [0.1, 1e5]; // FLOP a byte
const WAYS = {
  ArrowLeft: ["batch", -1],
  ArrowRight: ["batch", 1],
  ArrowDown: ["context", -1],
  ArrowUp: ["context", 1],
};
const RATE = "operations a second (FLOP/s)";
const ROOM = 52; // px of a power of ten from which each has its number
const REACH = 22; // px from a point at which a pointer takes it

/**
 * `dragged(point, intensity)` while a point with `moved` is dragged; `stepped(axis, by)` on arrow keys: "batch" for left and
 * right, "context" for up and down. `draw({card, points})`. Gives {element, draw}.
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
  const [bottom, top] = [Math.log10(bandwidth * LOW), Math.log10(peak * 8)];
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
    if (point)
      tip.show(event.offsetX, event.offsetY, [
        point.name,
        `${three(point.intensity)} FLOP a byte`,
        operations(point.rate, "FLOP/s"),
      ]);
    else tip.hide();
  });
  listen("pointerleave", tip.hide);
  keys(ui, picture, WAYS, (way) => stepped(...way));
}

function paint(context, { now, place }, theme) {
  context.font = `12px ${theme.font}`;
  slopeGround(context, place, now.card, theme);
  axes(context, place, theme);
  const spots = now.points.map(({ intensity, rate }) => [
    place.x(Math.min(HIGH, Math.max(LOW, intensity))),
    place.y(rate),
  ]);
  context.save();
  context.beginPath();
  context.rect(...place.box);
  context.clip();
  now.points.forEach(
    ({ share, rate }, i) => share !== undefined && gap(context, spots[i], place.y(rate / share), theme),
  );
  roof(context, place, now.card, theme);
  sides(context, place, now.card, theme);
  context.restore();
  const slope = place.box[2] < 6 * ROOM ? [0, 0, 0, 0] : nameSlope(context, place, now.card, theme);
  names(context, place, now, spots, slope, theme);
  for (const moved of [false, true])
    now.points.forEach((point, i) => Boolean(point.moved) === moved && mark(context, spots[i], point, i, theme));
}

// Below the slope the card waits for its memory.
function slopeGround(context, { x, y, box }, { peak, bandwidth }, theme) {
  const [left, top, , down] = box;
  const bend = x(peak / bandwidth);
  context.fillStyle = theme.raised;
  context.beginPath();
  for (const [across, up] of [
    [left, y(bandwidth * LOW)],
    [bend, y(peak)],
    [bend, top + down],
    [left, top + down],
  ])
    context.lineTo(across, up);
  context.fill();
}

// From what was measured up to the roof above it.
function gap(context, [x, y], roofAt, theme) {
  Object.assign(context, { strokeStyle: theme.muted, lineWidth: 1.5 });
  context.setLineDash([2, 3]);
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x, roofAt);
  context.stroke();
  context.setLineDash([]);
}

// What limits the slope, along it. Gives the room that it takes: [left, top, right, bottom].
function nameSlope(context, { x, y }, { bandwidth }, theme) {
  const [from, to] = [
    [x(LOW), y(bandwidth * LOW)],
    [x(10 * LOW), y(bandwidth * 10 * LOW)],
  ];
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  const text = `memory: ${bandwidth >= 1e12 ? `${three(bandwidth / 1e12)} TB` : `${three(bandwidth / 1e9)} GB`}/s`;
  const wide = context.measureText(text).width;
  context.save();
  context.translate(...from);
  context.rotate(angle);
  Object.assign(context, { fillStyle: theme.text, textAlign: "left", textBaseline: "alphabetic" });
  context.fillText(text, 14, -7);
  context.restore();
  const end = from.map((at, i) => at + (14 + wide) * [Math.cos(angle), Math.sin(angle)][i]);
  return [from[0], end[1] - 20, end[0], from[1]];
}

// The roof's name at it, and that of each point beside it, in as many words as lie on no other name or point and are not cut
// off; first those of the points that can be moved, then what was measured.
function names(context, { y: height, box: [left, top, across, down] }, { points, card }, spots, slope, theme) {
  Object.assign(context, {
    textAlign: "left",
    textBaseline: "middle",
    strokeStyle: theme.surface,
    lineWidth: 4,
    lineJoin: "round",
  });
  const title = [left, top, left + 10 + context.measureText(RATE).width, top + 14];
  const taken = [slope, title, ...spots.map(([x, y]) => [x - 12, y - 12, x + 12, y + 12])];
  const free = ([a, b, c, d]) =>
    a >= left &&
    c <= left + across &&
    b >= top &&
    d <= top + down &&
    !taken.some(([e, f, g, i]) => a < g && c > e && b < i && d > f);
  const write = (texts, placesFor, ink) => {
    for (const text of texts) {
      const wide = context.measureText(text).width;
      const box = placesFor(wide)
        .map(([at, up]) => [at, up - 8, at + wide, up + 8])
        .find(free);
      if (!box) continue;
      taken.push(box);
      context.fillStyle = ink;
      for (const draw of ["strokeText", "fillText"]) context[draw](text, box[0], box[1] + 8.5);
      return;
    }
  };
  write(
    [`${card.name}: ${operations(card.peak, "FLOP/s")}`, card.name],
    (wide) => [-16, 22].map((by) => [left + across - wide - 4, height(card.peak) + by]),
    theme.text,
  );
  const rank = ({ moved, share }) => (moved ? 0 : share === undefined ? 2 : 1);
  for (const [point, i] of points.map((point, i) => [point, i]).sort(([a], [b]) => rank(a) - rank(b))) {
    const part = `${Math.round((100 * point.rate) / card.peak)} %`;
    context.font = `${point.moved ? "600 " : ""}12px ${theme.font}`;
    write(
      point.moved
        ? [`${point.name}: ${part} of the peak`, `${point.name}: ${part}`, point.name]
        : rank(point) === 1
          ? [point.name, point.name.split(",")[0]]
          : [point.name],
      (wide) => beside(spots[i], wide),
      rank(point) < 2 ? theme.text : theme.muted,
    );
  }
}

// Where the name of a point may begin, the preferred places first.
const beside = ([x, y], wide) => [
  [x + 15, y + 12],
  [x + 15, y],
  [x - 15 - wide, y - 12],
  [x - 15 - wide, y],
  [x - wide / 2, y + 22],
  [x - wide / 2, y - 22],
  [x - wide + 12, y + 22],
  [x - wide + 12, y - 22],
  [x + 15, y - 14],
];

function axes(context, { x, y, rates, box }, theme) {
  const [left, top, across, down] = box;
  Object.assign(context, {
    strokeStyle: theme.line,
    fillStyle: theme.muted,
    lineWidth: 1,
    textAlign: "center",
    textBaseline: "top",
  });
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
  context.fillText(RATE, left + 5, top + 11);
  context.textAlign = "center";
  context.fillText("operations for each byte moved (FLOP a byte)", left + across / 2, HEIGHT - 6);
}

function roof(context, { x, y }, { peak, bandwidth }, theme) {
  Object.assign(context, { strokeStyle: theme.text, lineWidth: 3, lineJoin: "round" });
  context.beginPath();
  context.moveTo(x(LOW), y(bandwidth * LOW));
  context.lineTo(x(peak / bandwidth), y(peak));
  context.lineTo(x(HIGH), y(peak));
  context.stroke();
}

// What the card waits for at either side of the bend, in as many words as there is room for.
function sides(context, { x, box }, { peak, bandwidth }, theme) {
  const bend = x(peak / bandwidth);
  Object.assign(context, { fillStyle: theme.muted, textBaseline: "alphabetic" });
  const write = (name, reason, room, align, at) => {
    const whole = `${name}: ${reason}`;
    context.textAlign = align;
    context.fillText(
      context.measureText(whole).width < room ? whole : shorten(context, name, room),
      at,
      box[1] + box[3] - 8,
    );
  };
  write("memory-bound", "the card waits for data", 0.7 * (bend - box[0]), "right", bend - 6);
  write("compute-bound", "it calculates all the time", box[0] + box[2] - bend - 12, "left", bend + 6);
}

// Points at their best are round, and grey where no hand moves them; measured ones are square. The number is the list's.
function mark(context, [px, py], { share, moved }, i, theme) {
  Object.assign(context, {
    fillStyle: moved ? theme.accent : share === undefined ? theme.muted : theme.text,
    strokeStyle: theme.surface,
    lineWidth: 2,
  });
  context.beginPath();
  if (share === undefined) context.arc(px, py, 10, 0, 7);
  else context.rect(px - 9, py - 9, 18, 18);
  context.fill();
  context.stroke();
  Object.assign(context, {
    fillStyle: theme.surface,
    textAlign: "center",
    textBaseline: "middle",
    font: `600 12px ${theme.font}`,
  });
  context.fillText(String(i + 1), px, py + 0.5);
}
