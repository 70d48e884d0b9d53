// While `kit.recording` is an object: the colours of the text and of the thick lines that are drawn on canvases.
const THICK = 1.5; // px: axes and grids are thinner
const OPAQUE = 0.6; // fainter lines say "little" by being faint
const pen = CanvasRenderingContext2D.prototype;
const { fillText, stroke, strokeRect } = pen;
const paper = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

// Any CSS colour as [red, green, blue, alpha], each 0 to 255.
function channels(colour) {
  paper.clearRect(0, 0, 1, 1);
  paper.fillStyle = colour;
  paper.fillRect(0, 0, 1, 1);
  return [...paper.getImageData(0, 0, 1, 1).data];
}

const over = ([r, g, b], alpha, under) =>
  [r, g, b].map((value, i) => Math.round(alpha * value + (1 - alpha) * under[i]));

/** The page behind a view: the nearest background that is opaque. */
kit.surface = (view) => {
  for (let element = window.views[view].el.firstElementChild; element; element = element.parentElement) {
    const found = channels(getComputedStyle(element).backgroundColor);
    if (found[3] === 255) return found.slice(0, 3);
  }
  return [255, 255, 255];
};

// What is on the canvas already where the text will stand: five points along its middle.
function behind(context, text, x, y) {
  const {
    width,
    actualBoundingBoxLeft: left,
    actualBoundingBoxAscent: up,
    actualBoundingBoxDescent: down,
  } = context.measureText(text);
  const at = context.getTransform();
  const middle = y + (down - up) / 2;
  return [0.1, 0.3, 0.5, 0.7, 0.9].map((share) => {
    const point = at.transformPoint(new DOMPoint(x - left + share * width, middle));
    const [r, g, b, a] = context.getImageData(Math.round(point.x), Math.round(point.y), 1, 1).data;
    return over([r, g, b], a / 255, kit.recording.surface);
  });
}

pen.fillText = function (text, x, y, ...rest) {
  if (kit.recording?.texts.length < 600 && String(text).trim() && typeof this.fillStyle === "string") {
    const [r, g, b, a] = channels(this.fillStyle);
    const alpha = (a / 255) * this.globalAlpha;
    const pairs = behind(this, text, x, y).map((under) => [over([r, g, b], alpha, under), under]);
    kit.recording.texts.push({ text: String(text), font: this.font, pairs });
  }
  return fillText.call(this, text, x, y, ...rest);
};

function recordLine(context) {
  if (!kit.recording || typeof context.strokeStyle !== "string" || context.lineWidth < THICK) return;
  const [r, g, b, a] = channels(context.strokeStyle);
  const alpha = (a / 255) * context.globalAlpha;
  if (alpha < OPAQUE) return;
  const lines = kit.recording.lines;
  if (!lines.has(context.canvas)) lines.set(context.canvas, new Map());
  const line = { colour: [r, g, b], seen: over([r, g, b], alpha, kit.recording.surface), dash: context.getLineDash() };
  lines.get(context.canvas).set(JSON.stringify(line), line);
}

pen.stroke = function (...given) {
  recordLine(this);
  return stroke.apply(this, given);
};

pen.strokeRect = function (...given) {
  recordLine(this);
  return strokeRect.apply(this, given);
};

/** Draws the view again and gives {surface, series, texts, lines}: the palette of series, and lines for each canvas. */
kit.colours = async (view) => {
  const { SERIES } = await import("studium_widgets/controls/theme.js");
  const series = Object.values(SERIES)
    .flat()
    .map((colour) => channels(colour).slice(0, 3));
  kit.recording = { surface: kit.surface(view), texts: [], lines: new Map() };
  const { el } = window.views[view];
  el.style.width = `${el.clientWidth - 20}px`; // a new width draws everything, caches included
  await kit.frame();
  await kit.frame();
  el.style.width = "";
  await kit.frame();
  const { surface, texts, lines } = kit.recording;
  kit.recording = null;
  return { surface, series, texts, lines: [...lines.values()].map((canvas) => [...canvas.values()]) };
};
