// What each head loses, as a column; below it the head, its wire, and the cache that is left.
import { canvas } from "studium_widgets/controls/canvas.js";
import { cellCursor } from "studium_widgets/controls/cell_cursor.js";
import { sharedBy } from "./wiring_maths.js";

const HEIGHT = 366;
const [HIGHEST, GROUND] = [50, 122]; // px: where a column of 100 % ends, and where all stand
const [TOP, BOTTOM, CACHE] = [152, 272, 342]; // px: of the dots, and of the cache

/** Whether the mistake sends a query head to another group's keys and values. */
export const astray = ({ heads, groups, order }, head) =>
  sharedBy(head, heads, groups, order) !== sharedBy(head, heads, groups, "grouped");
export const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
export const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/** `draw({heads, groups, order, error, right})`; left and right go from query head to query head. Gives {element, draw, chosen()}. */
export function wiring(ui, moved) {
  const { element, fit } = canvas("Loss and wire of each query head: arrows go from head to head");
  const view = { element, now: null, width: 0 };
  const compose = () => view.now && drawAll(ui, view, fit(view.width, HEIGHT));
  view.cursor = cellCursor(ui, element, {
    at: (x) =>
      view.now && [0, Math.min(view.now.heads - 1, Math.max(0, Math.floor((x / view.width) * view.now.heads)))],
    size: () => [1, view.now.heads],
    moved: () => {
      compose();
      moved();
    },
  });
  view.chosen = () => view.cursor.cell?.[1] ?? -1;
  view.draw = (now) => {
    Object.assign(view, { now, width: Math.max(220, ui.widthOf(element.parentElement) || 480) });
    compose();
  };
  return view;
}

function drawAll({ theme }, view, context) {
  const { now, width } = view;
  const chosen = view.chosen();
  const at = (number, count) => ((number + 0.5) * width) / count;
  const radius = Math.min(9, (0.32 * width) / now.heads);
  context.textAlign = "center";
  for (let head = 0; head < now.heads; head++) {
    const [x, bold] = [at(head, now.heads), head === chosen];
    const colour = astray(now, head) ? theme.warm : theme.accent;
    column(context, theme, now, head, { x, wide: (0.62 * width) / now.heads, bold });
    wire(context, x, at(sharedBy(head, now.heads, now.groups, now.order), now.groups), colour, astray(now, head), bold);
    dot(context, x, TOP, radius, colour, false);
    if (now.heads <= 16 || bold) label(context, theme, `q${head}`, x, TOP - radius - 9, bold);
  }
  for (let g = 0; g < now.groups; g++) {
    dot(context, at(g, now.groups), BOTTOM, radius, theme.accent, true);
    if (now.groups <= 16) label(context, theme, `kv${g}`, at(g, now.groups), BOTTOM + radius + 12, false);
  }
  drawCache(context, theme, now, width);
  captions(context, theme, now);
}

// What is lost is orange. Where the mistake adds to it, a stroke says what the loss would be without.
function column(context, theme, { heads, error, right }, head, { x, wide, bold }) {
  const up = (loss) => GROUND - Math.min(1.15, loss) * (GROUND - HIGHEST);
  context.fillStyle = theme.raised;
  context.fillRect(x - wide / 2, HIGHEST, wide, GROUND - HIGHEST);
  context.fillStyle = theme.warm;
  context.fillRect(x - wide / 2, up(error[head]), wide, GROUND - up(error[head]));
  if (error[head] !== right[head]) {
    context.fillStyle = theme.text;
    context.fillRect(x - wide / 2 - 2, up(right[head]) - 1.5, wide + 4, 3);
  }
  if (heads <= 8 || bold) label(context, theme, percent(error[head]), x, Math.min(HIGHEST, up(error[head])) - 9, true);
}

// The cache of the multi-head model, as wide as all its heads, and the part of it that is left.
function drawCache(context, theme, { heads, groups }, width) {
  for (let head = 0; head < heads; head++) {
    const place = [head * (width / heads) + 2, CACHE, width / heads - 4, 16];
    context.fillStyle = head < groups ? theme.accent : theme.raised;
    context.fillRect(...place);
    context.strokeStyle = head < groups ? theme.accent : theme.line;
    context.lineWidth = 1;
    context.strokeRect(...place);
  }
}

function captions(context, theme, { heads, groups, order, error, right }) {
  context.textAlign = "left";
  const off =
    order === "tiled"
      ? `Off by ${percent(mean(error))}, without the mistake ${percent(mean(right))}`
      : `Each head's result is off by ${percent(mean(error))}`;
  label(context, theme, off, 2, 10, true);
  const cache = groups === heads ? "the whole cache" : `${percent(groups / heads)} of the cache`;
  label(
    context,
    theme,
    `${groups === 1 ? "1 head" : `${groups} heads`} of keys and values: ${cache}`,
    2,
    CACHE - 14,
    true,
  );
}

function wire(context, from, to, colour, wrong, bold) {
  context.strokeStyle = colour;
  context.lineWidth = bold ? 4 : 1.8;
  context.setLineDash(wrong ? [5, 4] : []);
  context.beginPath();
  context.moveTo(from, TOP);
  context.bezierCurveTo(from, (TOP + BOTTOM) / 2, to, (TOP + BOTTOM) / 2, to, BOTTOM);
  context.stroke();
  context.setLineDash([]);
}

function dot(context, x, y, radius, colour, square) {
  context.fillStyle = colour;
  context.beginPath();
  if (square) context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  else context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function label(context, theme, text, x, y, bold) {
  context.font = `${bold ? "600 " : ""}12px ${theme.font}`;
  context.fillStyle = bold ? theme.text : theme.muted;
  context.textBaseline = "middle";
  context.fillText(text, x, y);
}
