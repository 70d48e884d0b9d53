// Drawing a prediction on a line chart, by pointer, touch and keyboard.
import { short } from "./ticks.js";

const STOPS = 24; // places at which the arrow keys stop along a long curve
const DASH = [6, 4];

/**
 * Lets the learner draw the prediction of the series `name` on a `lineChart` by pointer, touch and keyboard while it is asked for.
 * Gives layer(context, axes), for the chart's `draw`, and spoken(): what the cursor's point says now.
 */
export function drawOn(ui, chart, guess, name) {
  const state = { at: -1, dragging: false };
  const { picture } = chart;
  const listen = (type, listener) => picture.addEventListener(type, listener, { signal: ui.signal, capture: true });
  const point = (event) => {
    const box = picture.getBoundingClientRect();
    chart.cursor.move([0, nearest(chart, event.clientX - box.left)]);
    const [, index] = chart.cursor.cell;
    guess.put(index, within(chart.axes.y, event.clientY - box.top), state.dragging ? state.at : -1);
    state.at = index;
  };
  listen("pointerdown", (event) => {
    if (event.button || !guess.asking()) return;
    picture.setPointerCapture(event.pointerId);
    point(event);
    state.dragging = true;
  });
  listen("pointermove", (event) => state.dragging && guess.asking() && point(event));
  const lift = () => {
    if (state.dragging) guess.extend();
    state.dragging = false;
  };
  for (const type of ["pointerup", "pointercancel"]) listen(type, lift);
  listen("keydown", (event) => guess.asking() && keyed(event, chart, guess, state));
  const layer = (context, axes) => {
    picture.style.touchAction = guess.asking() ? "none" : "";
    picture.style.cursor = guess.asking() ? "crosshair" : "";
    const values = guess.values();
    if (guess.asking() && values.every((value) => value == null)) invite(context, axes, name, ui.theme);
    drawCurve(context, axes, chart.content.x, values, guess.asking() ? state.at : -1, ui.theme);
  };
  const spoken = () => {
    const value = state.at < 0 ? null : guess.values()[state.at];
    return value == null ? "" : `${chart.axes.x.label} ${short(chart.content.x[state.at])}: you say ${short(value)}.`;
  };
  return { layer, spoken };
}

/** How the prediction stands in a chart's legend. */
export const entry = (theme) => ({ name: "your prediction", stroke: theme.text, dash: DASH });

const nearest = ({ content: { x }, axes }, left) => {
  const gaps = Array.from(x, (value) => Math.abs(axes.x.place(value) - left));
  return gaps.indexOf(Math.min(...gaps));
};

const within = (axis, pixel) => axis.invert(Math.min(axis.ends[0], Math.max(axis.ends[1], pixel)));

const HEIGHTS = { ArrowUp: -0.02, ArrowDown: 0.02, PageUp: -0.1, PageDown: 0.1 };
const PLACES = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

// Up and down move the point; left and right go on to the next one and take its height along.
function keyed(event, chart, guess, state) {
  const [height, place] = [HEIGHTS[event.key], PLACES[event.key]];
  if ((height ?? place) === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const { axes, content } = chart;
  const [low, high] = axes.y.ends;
  const count = content.x.length;
  const values = guess.values();
  const stride = Math.max(1, Math.ceil((count - 1) / STOPS));
  const to = state.at < 0 ? 0 : Math.min(count - 1, Math.max(0, state.at + (place ?? 0) * stride));
  const known = state.at < 0 ? null : values[state.at];
  const pixel = known == null ? (low + high) / 2 : axes.y.place(known);
  const moved =
    height === undefined ? (values[to] ?? axes.y.invert(pixel)) : within(axes.y, pixel + height * (low - high));
  chart.cursor.move([0, to]);
  guess.put(to, moved, state.at);
  state.at = to;
}

function drawCurve(context, axes, x, values, at, theme) {
  const place = (i) => [axes.x.place(x[i]), axes.y.place(values[i])];
  const known = (i) => values[i] != null;
  context.strokeStyle = context.fillStyle = theme.text;
  context.lineWidth = 2.5;
  context.setLineDash(DASH);
  context.beginPath();
  for (let i = 0; i < values.length; i++) if (known(i)) context[known(i - 1) ? "lineTo" : "moveTo"](...place(i));
  context.stroke();
  context.setLineDash([]);
  for (let i = 0; i < values.length; i++) {
    if (!known(i) || (i !== at && (known(i - 1) || known(i + 1)))) continue;
    context.beginPath();
    context.arc(...place(i), 5, 0, 7);
    context.fill();
  }
}

// What stands where nothing has been drawn yet.
function invite(context, { x, y }, name, theme) {
  context.fillStyle = theme.muted;
  context.font = `15px ${theme.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(`✎ draw “${name}” here`, (x.ends[0] + x.ends[1]) / 2, (y.ends[0] + y.ends[1]) / 2);
}
