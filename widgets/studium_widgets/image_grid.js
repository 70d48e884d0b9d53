// A grid of images; over steps, a film of them with every step of one image in a strip below.
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h, put } from "./controls/element.js";
import { player } from "./controls/player.js";
import { stepper } from "./controls/stepper.js";
import { short } from "./controls/ticks.js";
import { widget } from "./controls/widget.js";
import { columnsFor, measures } from "./image_grid_maths.js";
import { paint } from "./image_grid_paint.js";
import { strip } from "./image_grid_strip.js";

const FRAME = { shortest: 2000, each: 350, longest: 9000 }; // ms of a film
const WIDEST = { 1: 320, 2: 240, 3: 200 }; // px of an image, where there are so few
const rounded = (value) => short(Number(value.toPrecision(3)));

export default widget((ui) => {
  const film = looked(ui).steps > 1 ? filmControls(ui) : null;
  const grid = imageGrid();
  const note = h("p", { class: "st-note" });
  const table = dataTable(ui, { caption: "The numbers of each image" });
  ui.add(grid.element, note, ...(film ? [film.element] : []), table.element);
  return () => {
    const now = looked(ui);
    film?.draw(now);
    grid.draw(now, columnsFor(ui.get("columns"), now.count, ui.widthOf(grid.element.parentElement)));
    put(note, "textContent", legend(now));
    table.draw(() => rowsOf(now));
    ui.say(sentence(now));
  };
});

function looked(ui) {
  const array = ui.array("images");
  const [steps, count, channels, height, width] = array.shape;
  if (array.shape.includes(0) || ![1, 3].includes(channels))
    throw new Error("an image grid needs images of 1 or 3 channels");
  const names = ["captions", "steps", "step", "image", "low", "high", "clipped", "missing", "label"];
  const given = Object.fromEntries(names.map((name) => [name, ui.get(name)]));
  const whole = measures(array, given.step, 0, count, given.low, given.high);
  return { ...given, names: given.steps, array, steps, count, channels, height, width, whole };
}

function filmControls(ui) {
  const { steps, count } = looked(ui);
  const duration = Math.min(FRAME.longest, Math.max(FRAME.shortest, FRAME.each * steps));
  const format = (step) => ui.get("steps")[step] ?? `${step + 1} of ${steps}`;
  const play = player(ui, "step", { label: "Step", ends: () => [0, steps - 1], duration, format });
  const which = stepper(ui, "image", { label: "Image in the strip", max: count - 1 });
  ui.controls(play.element);
  if (count > 1) ui.more(which);
  ui.invite("play the steps, or point at one in the strip: when can you tell what it will be?");
  demonstrate(ui, "step", play.all, duration);
  const all = strip(ui, {
    label: "All steps",
    picked: (step) => {
      play.stop();
      ui.set("step", step);
    },
    format,
  });
  const heading = h("p", { class: "st-note" });
  const draw = (now) => {
    play.draw();
    all.draw(now);
    put(heading, "textContent", `All steps of image ${named(now.captions, now.image)}`);
  };
  return { draw, element: h("div", {}, heading, all.element) };
}

function imageGrid() {
  const element = h("div", { class: "st-image-grid" });
  let figures = [];
  const draw = (now, columns) => {
    if (figures.length !== now.count) {
      figures = Array.from({ length: now.count }, () => ({
        canvas: h("canvas", { "aria-hidden": "true" }),
        caption: h("figcaption"),
      }));
      element.replaceChildren(...figures.map(({ canvas, caption }) => h("figure", {}, canvas, caption)));
    }
    element.style.setProperty("--st-columns", columns);
    element.style.setProperty("--st-widest", `${WIDEST[now.count] ?? 140}px`);
    figures.forEach(({ canvas, caption }, image) => {
      paint(canvas, now, now.step, image);
      put(caption, "textContent", now.captions[image] ?? "");
    });
  };
  return { element, draw };
}

function legend({ array, channels, low, high, clipped }) {
  const colours =
    channels === 1
      ? `Black is ${rounded(low)}, white is ${rounded(high)}.`
      : `Colours go from ${rounded(low)} to ${rounded(high)}.`;
  const share = (100 * clipped) / array.data.length;
  return share >= 0.5 ? `${colours} ${Math.round(share)} % of all numbers lie outside and are clipped.` : colours;
}

function sentence({ label, names, step, steps, count, height, width, whole, missing }) {
  const what = `${label.slice(0, 1).toUpperCase()}${label.slice(1)}`;
  const when = steps > 1 ? `, step ${step + 1} of ${steps}${names[step] ? ` (${names[step]})` : ""}` : "";
  const size = `${count === 1 ? "1 image" : `${count} images`} of ${height} × ${width} pixels`;
  const lost = missing ? ` ${missing === 1 ? "One number is" : `${missing} numbers are`} not finite.` : "";
  return `${what}${when}: ${size}, mean ${rounded(whole.mean)}, spread ${rounded(whole.spread)}.${lost}`;
}

// Counted from 0, as in the array.
const named = (captions, image) => (captions[image] ? `${image}: ${captions[image]}` : String(image));

function rowsOf({ array, step, count, low, high, captions, whole }) {
  const row = (name, { mean, spread, least, most }) => [name, ...[mean, spread, least, most].map(rounded)];
  const each = (image) => row(named(captions, image), measures(array, step, image, image + 1, low, high));
  return {
    columns: ["image", "mean", "spread", "least", "most"],
    rows: [row("all", whole), ...Array.from({ length: count }, (_, image) => each(image))],
  };
}
