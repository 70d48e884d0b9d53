// The text of the glass transformer, a line a round, and the two steps of the copy as arrows between its letters.
import { fit } from "studium_widgets/controls/canvas.js";
import { h } from "studium_widgets/controls/element.js";

const [ACROSS, MOST] = [24, 36]; // letters of a line, and px of a letter, at most
const [ABOVE, BETWEEN] = [40, 66]; // px above the first line, and from one line to the next

/** What token number `token` is written as: a letter, as long as there are letters. */
export function nameOf(token) {
  return token < 52 ? String.fromCharCode(token < 26 ? 97 + token : 39 + token) : String(token);
}

/** `draw({text, place, period, edits, weights, told, guess})`: see `paint`. Gives {element}. */
export function textLines(ui) {
  const canvas = h("canvas", { role: "img" });
  const element = h("div", { class: "st-glass-text" }, canvas);
  const draw = (now) => {
    const place = layout(Math.max(240, ui.widthOf(element)), now.text.length, now.period);
    canvas.setAttribute("aria-label", spoken(now));
    paint(fit(canvas, place.width, place.height), now, place, ui.theme);
  };
  return { element, draw };
}

const spoken = ({ text, place, best, guess }) =>
  `The text. From ${nameOf(text[place])} at place ${place} the head looks most at ${nameOf(text[best])} at place ${best}; the model's next letter is ${nameOf(guess)}.`;

// Whole rounds in a line, so that a letter stands below the same letter of the round before.
function layout(width, count, period) {
  const across = period * Math.max(1, Math.floor(ACROSS / period));
  const cell = Math.min(MOST, width / across);
  const box = Math.min(cell - 2, 26);
  const lines = Math.ceil(count / across);
  const centre = (at) => [(at % across) * cell + cell / 2, ABOVE + box / 2 + BETWEEN * Math.floor(at / across)];
  return { width, cell, box, centre, height: ABOVE + BETWEEN * (lines - 1) + box + 22 };
}

/**
 * Each letter on a ground as deep as the weight that the query at `place` gives it in the chosen head. `best`: the letter
 * with the most weight; `told`: how strongly a head of the layer below looks from there one step back, or null; `guess`:
 * the model's next token, which is right or wrong.
 */
function paint(context, now, place, theme) {
  const { text, place: here, period, edits, weights, best, told, guess } = now;
  const right = guess === text[here + 1];
  Object.assign(context, { textAlign: "center", textBaseline: "middle" });
  text.forEach((token, at) => {
    const weight = at <= here ? weights[at] : 0;
    letter(context, nameOf(token), place.centre(at), place, {
      ...{
        ground: theme.accent,
        weight,
        ink: weight > 0.55 ? theme.surface : at > here + 1 ? theme.muted : theme.text,
      },
      ...{
        bold: at === here || at === best,
        rim: at === here ? theme.accent : at === here + 1 ? (right ? theme.right : theme.warm) : "",
        dashed: at === here + 1,
      },
      ...{ again: at > 0 && at % period === 0 && theme.muted, edited: at in edits && theme.warm, font: theme.font },
    });
  });
  const label = (words, x, y, style) => say(context, words, x, y, { ...style, width: place.width }, theme);
  const [from, source, target] = [here, best, here + 1].map(place.centre);
  if (told !== null && best > 0) {
    const before = place.centre(best - 1);
    bow(context, source, before, -place.box / 2 - 3, theme.muted);
    label(
      `1 · the layer below: “${nameOf(text[best - 1])} came before me”, ${percent(told)}`,
      (source[0] + before[0]) / 2,
      source[1] - place.box / 2 - 26,
      { textAlign: "center", fillStyle: theme.muted },
    );
  }
  if (best === here)
    return label("looks at itself", from[0], from[1] + place.box / 2 + 12, {
      textAlign: "center",
      fillStyle: theme.accent,
    });
  const step = told === null ? "" : "2 · ";
  if (from[1] === source[1]) bow(context, from, source, place.box / 2 + 3, theme.accent);
  else arrow(context, edge(from, source, place.box), edge(source, from, place.box), theme.accent, []);
  const middle = [
    (from[0] + source[0]) / 2,
    (from[1] + source[1]) / 2 + (from[1] === source[1] ? place.box / 2 + 24 : 0),
  ];
  label(`${step}looks here, ${percent(weights[best])}`, middle[0] - 12, middle[1], {
    textAlign: "right",
    fillStyle: theme.accent,
  });
  if (guess !== text[best] || from[1] === source[1])
    return label(`says ${nameOf(guess)}${right ? "" : ", which is wrong"}`, target[0], target[1] + place.box / 2 + 12, {
      textAlign: "left",
      fillStyle: right ? theme.right : theme.warm,
    });
  const colour = right ? theme.right : theme.warm;
  arrow(context, edge(source, target, place.box), edge(target, source, place.box), colour, [4, 3]);
  return label(
    `${step ? "3 · " : ""}copies ${nameOf(guess)}`,
    (source[0] + target[0]) / 2 + 12,
    (source[1] + target[1]) / 2,
    { textAlign: "left", fillStyle: colour },
  );
}

const percent = (share) => `${Math.round(100 * share)} %`;

function letter(context, text, [x, y], { box }, { ground, weight, ink, bold, rim, dashed, again, edited, font }) {
  const corner = [x - box / 2, y - box / 2, box, box, 5];
  context.beginPath();
  context.roundRect(...corner);
  Object.assign(context, { fillStyle: ground, globalAlpha: Math.min(1, weight) });
  context.fill();
  context.globalAlpha = 1;
  if (rim) {
    context.setLineDash(dashed ? [4, 3] : []);
    Object.assign(context, { strokeStyle: rim, lineWidth: 2 });
    context.stroke();
    context.setLineDash([]);
  }
  Object.assign(context, {
    fillStyle: edited || ink,
    font: `${bold ? 700 : 400} ${Math.min(15, 0.72 * box + 2)}px ${font}`,
  });
  context.fillText(text, x, y + 0.5);
  if (again) Object.assign(context, { fillStyle: again }).fillRect(x - box / 2 - 2, y - box / 2, 1, box);
}

// Words with a rim in the page's colour, inside the frame.
function say(context, words, x, y, { textAlign, fillStyle, width }, theme) {
  Object.assign(context, {
    font: `600 12px ${theme.font}`,
    fillStyle,
    textAlign: "left",
    strokeStyle: theme.surface,
    lineWidth: 4,
    lineJoin: "round",
  });
  const wide = context.measureText(words).width;
  const left = Math.max(
    2,
    Math.min(width - wide - 2, x - (textAlign === "right" ? wide : textAlign === "center" ? wide / 2 : 0)),
  );
  context.strokeText(words, left, y);
  context.fillText(words, left, y);
}

// Where the way from one letter to another on a further line leaves the first one's box.
function edge([x, y], [toX, toY], box) {
  const slope = (toX - x) / Math.abs(toY - y);
  return [x + Math.max(-box / 2, Math.min(box / 2, (slope * box) / 2)), y + (Math.sign(toY - y) * (box + 6)) / 2];
}

function arrow(context, [x, y], [toX, toY], colour, dash) {
  const angle = Math.atan2(toY - y, toX - x);
  Object.assign(context, { strokeStyle: colour, lineWidth: 2 });
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.stroke();
  head(context, [toX, toY], angle);
}

// A bow from one letter of a line to another, `off` px above or below their middle.
function bow(context, [x, y], [toX], off, colour) {
  const [start, high] = [y + off, y + off + Math.sign(off) * 22];
  Object.assign(context, { strokeStyle: colour, lineWidth: 2 });
  context.setLineDash([]);
  context.beginPath();
  context.moveTo(x, start);
  context.bezierCurveTo(x + (toX - x) / 4, high, toX + (x - toX) / 4, high, toX, start);
  context.stroke();
  head(context, [toX, start], Math.atan2(start - high, (toX - x) / 4));
}

function head(context, [x, y], angle) {
  context.beginPath();
  context.moveTo(x, y);
  for (const turn of [2.6, -2.6]) context.lineTo(x + 9 * Math.cos(angle + turn), y + 9 * Math.sin(angle + turn));
  context.fillStyle = context.strokeStyle;
  context.fill();
  context.setLineDash([]);
}
