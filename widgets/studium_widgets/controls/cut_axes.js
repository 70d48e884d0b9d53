// What charts of energies share: a vertical axis, linear or logarithmic, and the hatching of all that is cut away.
import { short, ticks } from "./ticks.js";

/** Room around the plot in px: {left, right, top, bottom}. */
export const MARGIN = { left: 46, right: 12, top: 26, bottom: 36 };
const DECADES = 6; // that a logarithmic axis shows below its top

/** {place(value) → y in px, ticks, bottom}: values from 0, or from `top` / 10^6, up to `top`. */
export function vertical(top, height, logarithmic) {
  const [low, high] = [height - MARGIN.bottom, MARGIN.top];
  const safe = top || 1;
  if (!logarithmic) {
    const place = (value) => low - (Math.min(value, safe) / safe) * (low - high);
    return { place, ticks: ticks(0, safe, 4), bottom: low };
  }
  const floor = Math.log10(safe) - DECADES;
  const place = (value) => low - (Math.max(0, Math.log10(Math.max(value, 1e-300)) - floor) / DECADES) * (low - high);
  const powers = Array.from({ length: DECADES + 1 }, (_, i) => 10 ** (Math.ceil(floor) + i));
  return {
    place: (value) => Math.max(high - 6, place(value)),
    ticks: powers.filter((value) => value <= safe),
    bottom: low,
  };
}

/** Grid lines with their numbers from `left` to `right`, and the axis' name above. */
export function grid(context, axis, left, right, name, theme) {
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const value of axis.ticks) {
    const at = Math.round(axis.place(value)) + 0.5;
    line(context, left, at, right, at, theme.line);
    context.fillStyle = theme.muted;
    context.fillText(short(value), left - 7, at);
  }
  context.textAlign = "left";
  context.fillText(name, 2, 9);
}

/** A line from (x1, y1) to (x2, y2). */
export function line(context, x1, y1, x2, y2, stroke, dash = []) {
  context.strokeStyle = stroke;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
  context.setLineDash([]);
}

const hatchings = new Map();

/** Stripes in `colour`: what is cut away is known by its pattern as well as by its colour. */
export function hatching(context, colour) {
  if (!hatchings.has(colour)) hatchings.set(colour, context.createPattern(stripes(colour), "repeat"));
  return hatchings.get(colour);
}

function stripes(colour) {
  const tile = document.createElement("canvas");
  Object.assign(tile, { width: 6, height: 6 });
  const context = tile.getContext("2d");
  context.fillStyle = colour;
  context.globalAlpha = 0.3;
  context.fillRect(0, 0, 6, 6);
  context.globalAlpha = 1;
  for (let i = 0; i < 6; i++) for (const width of [0, 1]) context.fillRect((i + width) % 6, 5 - i, 1, 1);
  return tile;
}
