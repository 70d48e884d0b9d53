// Images against captions: the captions are written here, and the text tower runs here too.
import { canvas } from "studium_widgets/controls/canvas.js";
import { cellCursor } from "studium_widgets/controls/cell_cursor.js";
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put, suppress } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { memo } from "studium_widgets/controls/memo.js";
import { colour } from "studium_widgets/controls/palette.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import {
  closer,
  cosines,
  diagonal,
  finds,
  loss,
  nearestPicture,
  softmaxColumns,
  softmaxRows,
  textFeatures,
  unknownWords,
} from "./board_maths.js";

const TEMPERATURES = Array.from({ length: 41 }, (_, i) => Number((0.01 * 10 ** (i / 20)).toPrecision(3)));
const SHOWN = [["captions"], ["images"], ["cosine", "none"]];
const LONGEST = 80; // characters of a caption
const [CELL, TOP, GAP] = [46, 22, 3]; // px: a cell at most, the numbers above, and between cells
const letter = (i) => String.fromCharCode(65 + i);

export default widget((ui) => {
  const look = source(ui);
  const thumbs = memo((pictures) => thumbnails(pictures));
  ui.controls(
    slider(ui, "temperature", {
      label: "Temperature τ",
      values: TEMPERATURES,
      format: (value) => value.toPrecision(2),
    }),
    choice(ui, "shown", { label: "Softmax over the", options: SHOWN }),
  );
  ui.more(
    slider(ui, "closed", {
      label: "Gap closed",
      min: 0,
      max: 1,
      step: 0.05,
      format: (share) => `${Math.round(100 * share)} %`,
    }),
  );
  ui.invite(
    "write into a caption: the row of each image shows at once which caption it now prefers, and the ring is where it should be.",
  );
  demonstrate(ui, "temperature", () => TEMPERATURES.filter((tau) => tau >= ui.get("temperature")).reverse());
  const grid = board(ui);
  const list = captionList(ui);
  const tiles = facts(["Loss", "Find their own", "Gap between the means"]);
  const note = h("p", { class: "st-note" });
  const table = dataTable(ui, { caption: "Each image with each caption" });
  ui.add(h("div", { class: "st-sides" }, h("div", {}, grid.element), list.element), tiles.element, note, table.element);
  return () => {
    const now = look();
    const images = thumbs(ui.array("pictures"));
    grid.draw(now, images);
    list.draw(now, images);
    tiles.draw(tilesOf(now));
    put(note, "textContent", wordsNote(now.shown, ui.get("vocabulary"), now.captions));
    table.draw(() => rowsOf(now));
    ui.say(sentence(now, grid.cursor.cell));
  };
});

// Everything that is shown, computed again only where what it needs has changed.
function source(ui) {
  const towers = memo((embedding, up, bias, down, vocabulary, captions) =>
    textFeatures({ vocabulary, embedding: embedding.data, up: up.data, bias: bias.data, down: down.data }, captions),
  );
  const placed = memo((features, texts, closed) => {
    const [count] = features.shape;
    const moved = closer(features.data, texts, count, closed);
    return { count, gap: moved.gap, table: cosines(moved.features, count) };
  });
  return () => {
    const weights = ["embedding", "up", "bias", "down"].map(ui.array);
    const texts = towers(...weights, ui.get("vocabulary"), ui.get("captions"));
    const { count, gap, table } = placed(ui.array("features"), texts, ui.get("closed"));
    const temperature = ui.get("temperature");
    const shares = { captions: softmaxRows, images: softmaxColumns }[ui.get("shown")];
    const [rows, columns] = [finds(table, count), finds(table, count, true)];
    return {
      count,
      gap,
      table,
      shown: ui.get("shown"),
      cells: shares ? shares(table, count, temperature) : table,
      rows,
      columns,
      loss: loss(table, count, temperature),
      nearest: nearestPicture(table, count),
      captions: ui.get("captions"),
    };
  };
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

// The matrix, with the images at the left and the captions' numbers above.
function board(ui) {
  const { element, fit } = canvas("Images against captions: arrows go from cell to cell");
  const view = { element, now: null, cell: CELL };
  const compose = () => view.now && drawAll(ui, view, fit);
  view.cursor = cellCursor(ui, element, {
    at: (x, y) => cellAt(view, x, y),
    size: () => [view.now.count, view.now.count],
    moved: () => ui.redraw(),
  });
  view.draw = (now, images) => {
    const room = Math.max(200, ui.widthOf(element.parentElement) || 420);
    Object.assign(view, { now, images, cell: Math.min(CELL, Math.floor((room - 24) / (now.count + 1))) });
    compose();
  };
  return view;
}

// The names of rows take 20 px, the images a cell.
const left = (view) => 20 + view.cell;

function cellAt(view, x, y) {
  if (!view.now) return null;
  const [row, column] = [Math.floor((y - TOP) / view.cell), Math.floor((x - left(view)) / view.cell)];
  return row >= 0 && column >= 0 && row < view.now.count && column < view.now.count ? [row, column] : null;
}

function drawAll(ui, view, fit) {
  const { now, cell, images, cursor } = view;
  const context = fit(left(view) + now.count * cell + 4, TOP + now.count * cell + 4);
  Object.assign(context, { textAlign: "center", textBaseline: "middle", imageSmoothingEnabled: false });
  for (let i = 0; i < now.count; i++) {
    name(context, ui.theme, letter(i), 9, TOP + (i + 0.5) * cell, cursor.cell?.[0] === i);
    name(context, ui.theme, String(i + 1), left(view) + (i + 0.5) * cell, TOP / 2, cursor.cell?.[1] === i);
    context.drawImage(images[i], 20, TOP + i * cell, cell - GAP, cell - GAP);
  }
  now.cells.forEach((value, at) =>
    drawCell(context, ui.theme, view, value, Math.floor(at / now.count), at % now.count),
  );
  for (let i = 0; i < now.count; i++) ring(context, ui.theme, view, [i, i], ui.theme.text, 1.5);
  if (cursor.cell) ring(context, ui.theme, view, cursor.cell, ui.theme.text, 3);
}

function name(context, theme, text, x, y, bold) {
  context.font = `${bold ? "600 " : ""}12px ${theme.font}`;
  context.fillStyle = bold ? theme.text : theme.muted;
  context.fillText(text, x, y);
}

function drawCell(context, theme, { now, cell }, value, row, column) {
  const [x, y] = [20 + cell + column * cell, TOP + row * cell];
  const [palette, place] = now.shown === "cosine" ? ["diverging", (value + 1) / 2] : ["sequential", value];
  const fill = colour(palette, theme.dark, place);
  context.fillStyle = fill;
  context.fillRect(x, y, cell - GAP, cell - GAP);
  if (cell < 26) return;
  context.font = `${cell < 34 ? 10 : 12}px ${theme.font}`;
  context.fillStyle = isLight(fill) ? "#000" : "#fff";
  context.fillText(short(now.shown, value), x + (cell - GAP) / 2, y + (cell - GAP) / 2);
}

// Black or white, whichever stands out more: the luminance at which both do equally is 0.179.
function isLight(fill) {
  const [r, g, b] = fill
    .match(/\d+/g)
    .map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179;
}

function ring(context, theme, { cell }, [row, column], stroke, width) {
  const [x, y] = [20 + cell + column * cell, TOP + row * cell];
  for (const [shade, thick] of [
    [theme.surface, width + 2],
    [stroke, width],
  ]) {
    context.strokeStyle = shade;
    context.lineWidth = thick;
    context.strokeRect(x - 0.5, y - 0.5, cell - GAP + 1, cell - GAP + 1);
  }
}

const short = (shown, value) =>
  shown === "cosine" ? value.toFixed(2).replace("-", "−").replace("0.", ".") : String(Math.round(100 * value));

// A line of text a caption, beside the image that it belongs to.
function captionList(ui) {
  const count = ui.get("captions").length;
  const items = Array.from({ length: count }, (_, i) => captionItem(ui, i));
  const reset = h("button", { type: "button", class: "st-button", ...suppress }, "As they were");
  reset.addEventListener("click", () => ui.set("captions", [...ui.get("truth")]), { signal: ui.signal });
  const list = h("ol", { class: "st-captions", "aria-label": "Captions" }, ...items.map(({ element }) => element));
  const draw = (now, images) => items.forEach((item, i) => item.draw(now, images[i]));
  return { element: h("div", {}, list, h("p", { class: "st-captions-again" }, reset)), draw };
}

function captionItem(ui, i) {
  const input = h("input", {
    type: "text",
    maxlength: LONGEST,
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": `Caption ${i + 1}, of image ${letter(i)}`,
    ...suppress,
  });
  const picture = h("canvas", { "aria-hidden": "true" });
  const found = h("span", { class: "st-found" });
  const write = () =>
    ui.set(
      "captions",
      ui.get("captions").map((old, at) => (at === i ? input.value : old)),
    );
  input.addEventListener("input", write, { signal: ui.signal });
  const element = h(
    "li",
    {},
    picture,
    h("span", { class: "st-label", "aria-hidden": "true" }, String(i + 1)),
    input,
    found,
  );
  const draw = (now, image) => {
    put(input, "value", now.captions[i]);
    if (picture.source !== image) {
      Object.assign(picture, { source: image, width: image.width, height: image.height });
      picture.getContext("2d").drawImage(image, 0, 0);
    }
    put(
      found,
      "textContent",
      now.columns[i] ? `finds ${letter(i)}` : `→ ${now.nearest[i] === i ? "a tie" : letter(now.nearest[i])}`,
    );
    element.classList.toggle("st-astray", !now.columns[i]);
  };
  return { element, draw };
}

const countOf = (flags) => flags.filter(Boolean).length;

function tilesOf({ count, loss: value, rows, columns, gap }) {
  return [
    [value.toFixed(3), `by guessing ln ${count} = ${Math.log(count).toFixed(2)}`],
    [`${countOf(rows)} and ${countOf(columns)}`, `images and captions, of ${count}`],
    [gap.toFixed(2), "of unit vectors; 2 at most"],
  ];
}

function wordsNote(shown, vocabulary, captions) {
  const unknown = unknownWords(captions, vocabulary);
  const skipped = unknown.length ? ` Skipped, for it never learned them: ${unknown.slice(0, 8).join(", ")}.` : "";
  const cells = shown === "cosine" ? "Cells are cosines" : "Cells are probabilities in per cent";
  return `${cells}; rings mark what belongs together. Words that the text tower knows: ${vocabulary.join(" ")}.${skipped}`;
}

function sentence(now, cell) {
  const { count, table, cells, shown, rows, columns, captions } = now;
  if (cell) {
    const [row, column] = cell;
    const at = row * count + column;
    const share = shown === "cosine" ? "" : `, probability ${cells[at].toFixed(3)}`;
    return `Image ${letter(row)} with caption ${column + 1}, “${captions[column]}”: cosine ${table[at].toFixed(3)}${share}.`;
  }
  const own = diagonal(cells, count);
  const least = own.indexOf(Math.min(...own));
  const what = shown === "cosine" ? "cosine" : "probability";
  const retrieved = `${countOf(rows)} of ${count} images find their caption, ${countOf(columns)} of ${count} captions their image`;
  return `Loss ${now.loss.toFixed(3)}; ${retrieved}; of the right pairs, ${letter(least)} with ${least + 1} has the smallest ${what}, ${own[least].toFixed(3)}.`;
}

function rowsOf({ count, cells, captions }) {
  const columns = ["image", ...captions.map((text, i) => `${i + 1}: ${text}`)];
  const rows = Array.from({ length: count }, (_, i) => [
    letter(i),
    ...Array.from(cells.slice(i * count, (i + 1) * count), (value) => value.toFixed(3)),
  ]);
  return { columns, rows };
}
