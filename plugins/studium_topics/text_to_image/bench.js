// Type a prompt and watch eight seeds of it being drawn: the model runs here, in the page.
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h, put } from "studium_widgets/controls/element.js";
import { memo } from "studium_widgets/controls/memo.js";
import { slider } from "studium_widgets/controls/slider.js";
import { settle } from "studium_widgets/controls/timing.js";
import { widget } from "studium_widgets/controls/widget.js";
import { field } from "../kits/field.js";
import { guided, idsOf, noiseOf, painter, pixelsOf, standsOut, timesOf, unknownWords } from "./bench_maths.js";

const IMAGES = 8;
const LONGEST = 80; // characters of a prompt
const BUDGET = 24; // ms of one frame that go into the network
const WAIT = 200; // ms without a change before drawing begins
const ASKED = ["prompt", "negative", "scale", "steps", "spacing", "seed"];

export default widget((ui) => {
  const job = drawing(ui);
  const named = (name, label) => h("div", { class: "st-t2i-field" }, field(ui, name, { label, longest: LONGEST }));
  ui.controls(named("prompt", "Prompt"), slider(ui, "scale", { label: "Guidance scale", min: 0, max: 10, step: 0.5 }));
  ui.more(
    named("negative", "Negative prompt"),
    slider(ui, "steps", { label: "Steps", min: 1, max: 32 }),
    choice(ui, "spacing", {
      label: "Times",
      options: [
        ["straight", "straight"],
        ["DDIM", "DDIM"],
      ],
    }),
    slider(ui, "seed", { label: "First seed", min: 0, max: 999 }),
  );
  ui.invite("write another colour or shape. Then set the guidance to 0: the images no longer do what they are told.");
  const tiles = Array.from({ length: IMAGES }, () => {
    const canvas = h("canvas", { width: 16, height: 16, "aria-hidden": "true" });
    const caption = h("figcaption");
    return { canvas, caption, element: h("figure", {}, canvas, caption) };
  });
  const note = h("p", { class: "st-note" });
  const table = dataTable(ui, { caption: "The colour that stands out in each image" });
  ui.add(h("div", { class: "st-t2i-grid" }, ...tiles.map((tile) => tile.element)), note, table.element);
  return () => {
    const now = job();
    tiles.forEach((tile, i) => show(tile, now.pixels[i], `seed ${ui.get("seed") + i}`));
    put(note, "textContent", words(ui.get("prompt"), ui.get("negative"), ui.get("vocabulary")));
    table.draw(() => rowsOf(ui.get("seed"), now.pixels));
    ui.say(sentence(ui, now));
  };
});

// The images as far as they are: begins again when something that is asked for has changed.
function drawing(ui) {
  const network = memo((layout, weights, scales) => painter(layout, weights.data, scales.data));
  const net = () => network(ui.get("tensors"), ui.array("weights"), ui.array("scales"));
  let job = begun(ui, net());
  let frame = 0;
  const advance = () => {
    const end = performance.now() + BUDGET;
    const more = () => job.step < job.times.length - 1;
    while (more() && performance.now() < end) work(ui, net(), job);
    frame = more() ? requestAnimationFrame(advance) : 0;
    ui.redraw();
  };
  const begin = () => {
    cancelAnimationFrame(frame);
    job = begun(ui, net());
    frame = requestAnimationFrame(advance);
    ui.redraw();
  };
  const soon = settle(begin, WAIT, ui.signal);
  for (const name of ASKED) ui.on(name, soon);
  ui.signal.addEventListener("abort", () => cancelAnimationFrame(frame), { once: true });
  soon();
  return () => job;
}

function begun(ui, net) {
  const [basis, mean] = [ui.array("basis"), ui.array("mean")];
  const size = basis.shape[1] * 64;
  const times = timesOf(ui.get("spacing"), ui.get("steps"), ui.array("levels").data);
  const latents = Array.from({ length: IMAGES }, (_, i) =>
    noiseOf(ui.get("seed") + i, size).map((value) => times[0] * value),
  );
  const [text, away] = ["prompt", "negative"].map((name) => net.text(idsOf(ui.get(name), ui.get("vocabulary"))));
  const pixels = latents.map((z) => pixelsOf(z, mean.data, basis.data));
  return { times, latents, pixels, text, away, scale: ui.get("scale"), step: 0, image: 0 };
}

function work(ui, net, job) {
  const { times, step, image, latents } = job;
  const change = guided(net, latents[image], times[step], job.text, job.away, job.scale);
  latents[image] = latents[image].map((value, i) => value + (times[step + 1] - times[step]) * change[i]);
  job.pixels[image] = pixelsOf(latents[image], ui.array("mean").data, ui.array("basis").data);
  job.image = (image + 1) % IMAGES;
  if (!job.image) job.step += 1;
}

function show({ canvas, caption }, pixels, text) {
  put(caption, "textContent", text);
  if (canvas.shown === pixels) return;
  canvas.shown = pixels;
  canvas.getContext("2d").putImageData(new ImageData(pixels, 16, 16), 0, 0);
}

function words(prompt, negative, vocabulary) {
  const unknown = unknownWords(`${prompt} ${negative}`, vocabulary);
  const skipped = unknown.length
    ? ` Left out, because no caption of the training had them: ${unknown.slice(0, 8).join(", ")}.`
    : "";
  return `The model knows the words ${vocabulary.slice(1).join(" ")}.${skipped}`;
}

function rowsOf(seed, pixels) {
  return {
    columns: ["seed", "red", "green", "blue"],
    rows: pixels.map((each, i) => [String(seed + i), ...standsOut(each).map(String)]),
  };
}

function sentence(ui, { step, times }) {
  const asked = `Eight images of “${ui.get("prompt")}”`;
  const last = times.length - 1;
  return step < last
    ? `${asked}: step ${step} of ${last}.`
    : `${asked}, drawn in ${last} ${last === 1 ? "step" : "steps"}.`;
}
