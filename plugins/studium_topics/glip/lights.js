// A caption that the reader writes, and the boxes of an image that light up, phrase by phrase or word by word.
import { canvas } from "studium_widgets/controls/canvas.js";
import { cellCursor } from "studium_widgets/controls/cell_cursor.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put, suppress } from "studium_widgets/controls/element.js";
import { DASHES } from "studium_widgets/controls/legend.js";
import { memo } from "studium_widgets/controls/memo.js";
import { player } from "studium_widgets/controls/player.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { widget } from "studium_widgets/controls/widget.js";
import { phrasesOf, probabilities, remaining, scoresOf, tokensOf, unknownWords, wordVectors } from "./lights_maths.js";

const LONGEST = 80; // characters of a caption
const LARGEST = 384; // px of an image's side

export default widget((ui) => {
  const look = source(ui);
  const line = captionLine(ui);
  const words = player(ui, "word", {
    label: "Word by word",
    ends: () => [0, Math.max(1, tokensOf(ui.get("caption")).length)],
    duration: 6000,
  });
  ui.controls(line, words.element);
  ui.more(
    stepper(ui, "image", { label: "Image", max: ui.array("pixels").shape[0] - 1 }),
    slider(ui, "threshold", {
      label: "Score at least",
      min: 0.05,
      max: 0.95,
      step: 0.05,
      format: (value) => value.toFixed(2),
    }),
    slider(ui, "overlap", {
      label: "Overlap at most",
      min: 0.05,
      max: 1,
      step: 0.05,
      format: (value) => value.toFixed(2),
    }),
  );
  ui.invite(
    "write another shape and colour into the caption, and see which boxes answer; then go through it word by word.",
  );
  demonstrate(ui, "word", words.all);
  const scene = sceneOf(ui);
  const strip = h("div", { class: "st-lit-words" });
  const note = h("p", { class: "st-note" });
  const table = dataTable(ui, { caption: "What is found" });
  ui.add(h("div", { class: "st-lit" }, scene.element, h("div", {}, strip, note)), table.element);
  return () => {
    const now = look();
    words.draw();
    scene.draw(now);
    drawWords(ui, strip, now, scene.cursor.cell);
    put(note, "textContent", noteOf(ui.get("vocabulary"), now));
    const rows = rowsOf(now, scene.cursor.cell);
    table.draw(() => rows);
    ui.say(sentence(now, rows, scene.cursor.cell));
  };
});

// Everything that is shown, computed again only where what it needs has changed.
function source(ui) {
  const read = memo((embedding, kernel, vocabulary, caption) => {
    const tokens = tokensOf(caption);
    return { tokens, vectors: wordVectors({ vocabulary, embedding: embedding.data, kernel: kernel.data }, tokens) };
  });
  const compare = memo((regions, image, { tokens, vectors }, logScale, bias) => {
    const [, count, width] = regions.shape;
    const own = regions.data.subarray(image * count * width, (image + 1) * count * width);
    return { count, table: probabilities(own, vectors, width, logScale, bias), tokens };
  });
  return () => {
    const [image, threshold, overlap] = ["image", "threshold", "overlap"].map(ui.get);
    const { count, table, tokens } = compare(
      ui.array("regions"),
      image,
      read(ui.array("embedding"), ui.array("kernel"), ui.get("vocabulary"), ui.get("caption")),
      ui.get("log_scale"),
      ui.get("bias"),
    );
    const boxes = ui.array("boxes").data.subarray(4 * image * count, 4 * (image + 1) * count);
    const word = Math.min(ui.get("word"), tokens.length);
    const asked = word ? [{ text: tokens[word - 1], tokens: [word - 1] }] : phrasesOf(tokens);
    const found = asked.map((phrase) => {
      const scores = scoresOf(table, tokens.length, phrase.tokens);
      return { ...phrase, scores, best: Math.max(...scores), kept: remaining(boxes, scores, threshold, overlap) };
    });
    return {
      caption: ui.get("caption"),
      image,
      threshold,
      tokens,
      table,
      count,
      side: Math.round(Math.sqrt(count)),
      boxes,
      word,
      found,
    };
  };
}

function captionLine(ui) {
  const input = h("input", {
    type: "text",
    maxlength: LONGEST,
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": "Your caption",
    ...suppress,
  });
  input.addEventListener("input", () => ui.set("caption", input.value), { signal: ui.signal });
  const show = () => put(input, "value", ui.get("caption"));
  ui.on("caption", show);
  show();
  return h(
    "label",
    { class: "st-control st-lit-caption" },
    h("span", { class: "st-label" }, "Your caption: names with full stops between them"),
    input,
  );
}

// The image with its boxes; a word that is chosen leaves only the regions bright that it suits.
function sceneOf(ui) {
  const { element, fit } = canvas("Image: arrows go from region to region");
  const view = { element, now: null, size: LARGEST };
  const images = memo((pixels) => thumbnails(pixels));
  const at = (x, y) => {
    if (!view.now) return null;
    const cell = view.size / view.now.side;
    const [row, column] = [Math.floor(y / cell), Math.floor(x / cell)];
    return row >= 0 && column >= 0 && row < view.now.side && column < view.now.side ? [row, column] : null;
  };
  view.cursor = cellCursor(ui, element, { at, size: () => [view.now.side, view.now.side], moved: () => ui.redraw() });
  view.draw = (now) => {
    view.size = Math.min(LARGEST, ui.widthOf(element.parentElement) || LARGEST);
    Object.assign(view, { now });
    const context = fit(view.size, view.size);
    context.imageSmoothingEnabled = false;
    context.drawImage(images(ui.array("pixels"))[now.image], 0, 0, view.size, view.size);
    if (now.word) dim(context, view);
    drawBoxes(context, ui.theme, view);
    if (view.cursor.cell) outline(context, ui.theme, cellBox(view, view.cursor.cell), ui.theme.text, 2);
  };
  return view;
}

// One small canvas an image, at its own number of pixels.
function thumbnails({ data, shape: [count, side] }) {
  return Array.from({ length: count }, (_, i) => {
    const image = h("canvas", { width: side, height: side });
    const context = image.getContext("2d");
    const pixels = context.createImageData(side, side);
    for (let at = 0; at < side * side; at++) {
      for (let part = 0; part < 3; part++) pixels.data[4 * at + part] = data[3 * (i * side * side + at) + part];
      pixels.data[4 * at + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    return image;
  });
}

function cellBox({ size, now }, [row, column]) {
  const cell = size / now.side;
  return [column * cell, row * cell, cell, cell];
}

function dim(context, view) {
  const [{ scores }] = view.now.found;
  scores.forEach((score, region) => {
    context.fillStyle = `rgb(0 0 0 / ${0.75 * (1 - score)})`;
    context.fillRect(...cellBox(view, [Math.floor(region / view.now.side), region % view.now.side]));
  });
}

function drawBoxes(context, theme, { now, size }) {
  const unit = size / now.side;
  now.found.forEach(({ text, kept, scores }, i) => {
    for (const place of kept) {
      const [left, top, right, bottom] = [0, 1, 2, 3].map((part) =>
        Math.min(size - 2, Math.max(2, now.boxes[4 * place + part] * unit)),
      );
      outline(
        context,
        theme,
        [left, top, right - left, bottom - top],
        theme.series[i % theme.series.length],
        2.5,
        DASHES[i % DASHES.length],
      );
      label(context, theme, `${text} ${scores[place].toFixed(2)}`, left, top, size);
    }
  });
}

function outline(context, theme, [x, y, width, height], stroke, thick, dash = []) {
  for (const [shade, line, gaps] of [
    [theme.surface, thick + 3, []],
    [stroke, thick, dash],
  ]) {
    context.setLineDash(gaps);
    context.strokeStyle = shade;
    context.lineWidth = line;
    context.strokeRect(x, y, width, height);
  }
}

function label(context, theme, text, x, y, size) {
  Object.assign(context, { font: `600 12px ${theme.font}`, textBaseline: "middle", textAlign: "left" });
  const width = context.measureText(text).width + 8;
  const [left, top] = [Math.max(0, Math.min(x - 1, size - width)), Math.max(0, y - 17)];
  context.fillStyle = theme.surface;
  context.fillRect(left, top, width, 16);
  context.fillStyle = theme.text;
  context.fillText(text, left + 4, top + 8.5);
}

// The caption's tokens, each with its probability: in the region under the cursor, or in the best region of all.
function drawWords(ui, strip, now, cell) {
  const values = now.tokens.map((_, token) => probabilityOf(now, token, cell));
  const key = JSON.stringify([now.tokens, now.word, values]);
  if (strip.key === key) return;
  strip.key = key;
  const part = (word, token) =>
    h(
      "span",
      { class: `st-lit-word${now.word === token + 1 ? " st-lit-chosen" : ""}` },
      h("b", {}, word),
      h("span", {}, values[token].toFixed(2)),
      h("i", { style: `width:${Math.round(100 * values[token])}%`, "aria-hidden": "true" }),
    );
  strip.replaceChildren(...now.tokens.map(part));
}

function probabilityOf({ table, tokens, side, count }, token, cell) {
  if (cell) return table[(cell[0] * side + cell[1]) * tokens.length + token];
  return Math.max(...Array.from({ length: count }, (_, region) => table[region * tokens.length + token]));
}

function noteOf(vocabulary, now) {
  const unknown = unknownWords(now.caption, vocabulary);
  const skipped = unknown.length ? ` It never learned: ${unknown.slice(0, 6).join(", ")}.` : "";
  return `Numbers are probabilities, in the best region or in the one under the cursor. Words that it knows: ${vocabulary.filter((word) => word !== ".").join(" ")}.${skipped}`;
}

function rowsOf(now, cell) {
  if (cell)
    return {
      columns: ["word", "probability here"],
      rows: now.tokens.map((word, token) => [word, probabilityOf(now, token, cell).toFixed(2)]),
    };
  const rows = now.found.map(({ text, best, kept }) => [text, best.toFixed(2), kept.length]);
  return { columns: [now.word ? "word" : "phrase", "best score", "boxes"], rows };
}

function sentence(now, { rows }, cell) {
  if (!now.tokens.length) return "The caption is empty, so nothing is asked for: 0 boxes.";
  const shown = rows.slice(0, 8);
  if (cell)
    return `Region in row ${cell[0] + 1}, column ${cell[1] + 1}: ${shown.map(([word, value]) => `${word} ${value}`).join(", ")}.`;
  const parts = shown.map(
    ([text, best, count]) => `“${text}” ${count === 1 ? "1 box" : `${count} boxes`}, best score ${best}`,
  );
  return `${now.word ? `Word ${now.word} alone: ` : ""}${parts.join("; ") || "no phrase, 0 boxes"}.`;
}
