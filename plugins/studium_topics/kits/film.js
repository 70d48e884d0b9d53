// A film of images that come out of noise, drawn by a small network that runs in the page.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { whenSeen } from "studium_widgets/controls/demonstration.js";
import { h, put } from "studium_widgets/controls/element.js";
import { player } from "studium_widgets/controls/player.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { widget } from "studium_widgets/controls/widget.js";
import { film, MISTAKES, rgba, spread } from "./film_maths.js";
import { unpack } from "./packing.js";
import { unet } from "./unet.js";

const BUDGET = 30; // ms of one frame that go into the network
const SETTINGS = ["kind", "scale", "sampling_steps", "eta", "mistake", "seed", "images"];

export default widget((ui) => {
  const predict = networkOf(ui);
  const channels = ui.get("channels");
  let [made, key, seen] = [null, "", false];
  const begin = () => {
    const settings = SETTINGS.map(ui.get).join(" ");
    if (settings !== key) [key, made] = [settings, film({ predict, ...settingsOf(ui) })];
  };
  const play = player(ui, "step", { label: "Step", ends: () => [0, ui.get("sampling_steps")], duration: 3000 });
  const guided = ui.get("names").length > 0 && ui.get("scale") !== 1; // then guidance is what the lesson shows
  const { first, rest } = controlsOf(ui, guided);
  ui.controls(play.element, ...first);
  ui.more(...rest);
  ui.invite(
    guided
      ? "move the guidance scale to 0, then far up, and see what becomes of the same noise."
      : "drag the step back into the noise, then put in a mistake and see how these very images change.",
  );
  const grid = canvases(ui.get("images"), ui.get("side"));
  const note = h("p", { class: "st-note" });
  const table = dataTable(ui, { caption: "All pixels of all images, after each step" });
  ui.add(grid.element, note, table.element);
  ui.on("sampling_steps", () => ui.set("step", ui.get("sampling_steps")));
  whenSeen(ui, grid.element, () => {
    seen = true;
    ui.redraw();
  });
  return () => {
    begin();
    const wanted = Math.min(ui.model.get("step"), made.steps);
    const arrived = !seen || work(made, wanted);
    const at = arrived || !ui.still ? Math.min(wanted, made.made()) : 0; // no motion where less of it is wanted
    ui.pretend("step", arrived ? undefined : at); // the slider stands where the images are
    play.draw();
    grid.draw(made.states[at], channels);
    put(note, "textContent", MISTAKES.find(([name]) => name === ui.get("mistake"))[2]);
    table.draw(() => rowsOf(made));
    ui.say(sentence(ui, made, at, arrived ? 0 : wanted));
    if (!arrived) ui.redraw();
  };
});

function networkOf(ui) {
  const tensors = unpack(ui.get("tensors"), ui.array("weights").data, ui.array("scales").data);
  const labels = tensors.get("label.weight")?.data;
  const width = tensors.get("label.weight")?.shape[1];
  const net = unet(tensors, ui.array("abar").data.length);
  return (x, t, label) => net(x, t, labels && label >= 0 ? labels.subarray(label * width, (label + 1) * width) : null);
}

function settingsOf(ui) {
  const [names, side] = [ui.get("names"), ui.get("side")];
  const setting = Object.fromEntries(["scale", "eta", "mistake", "seed", "images"].map((name) => [name, ui.get(name)]));
  const none = names.length || -1;
  const label = ui.get("kind") < 0 ? none : ui.get("kind");
  return {
    ...setting,
    label,
    none,
    abar: ui.array("abar").data,
    steps: ui.get("sampling_steps"),
    size: ui.get("channels") * side * side,
  };
}

function controlsOf(ui, guided) {
  const names = ui.get("names");
  const levels = ui.array("abar").data.length;
  const kinds = [[-1, "anything"], ...names.map((name, i) => [i, name])];
  const scale = slider(ui, "scale", {
    label: "Guidance scale",
    min: 0,
    max: 8,
    step: 0.5,
    format: (value) => value.toFixed(1),
  });
  const mistake = select(ui, "mistake", {
    label: "Put in a mistake",
    options: MISTAKES.map(([name, label]) => [name, label]),
  });
  const labels = names.length ? [select(ui, "kind", { label: "Draw", options: kinds }), scale] : [];
  const rest = [
    slider(ui, "sampling_steps", {
      label: "Steps",
      values: [5, 10, 20, 25, 50, 100, 200].filter((steps) => steps <= levels),
    }),
    stepper(ui, "seed", { label: "Seed", max: 999 }),
  ];
  return guided
    ? { first: labels, rest: [mistake, ...rest] }
    : { first: [...labels.slice(0, 1), mistake], rest: [...labels.slice(1), ...rest] };
}

function canvases(count, side) {
  const all = Array.from({ length: count }, () => h("canvas", { width: side, height: side, "aria-hidden": "true" }));
  const draw = (images, channels) =>
    all.forEach((canvas, i) =>
      canvas.getContext("2d").putImageData(new ImageData(rgba(images[i], channels), side, side), 0, 0),
    );
  return { draw, element: h("div", { class: "st-denoising" }, ...all) };
}

// Whether `wanted` steps are made, after as many as fit into one frame.
function work(made, wanted) {
  const end = performance.now() + BUDGET;
  while (made.made() < wanted && performance.now() < end) made.advance();
  return made.made() >= wanted;
}

// In words; `awaited`: how many steps are being made while no motion is wanted.
function sentence(ui, made, at, awaited) {
  const kind = ui.get("names")[ui.get("kind")];
  const what = `${ui.get("images")} images${kind ? ` of ${kind}` : ""}`;
  if (awaited && at === 0) return `${what}: noise, until ${awaited} steps are made.`;
  const { deviation } = spread(made.states[at]);
  if (at === 0) return `${what}: pure noise, before the first of ${made.steps} steps.`;
  return `${what} after ${at} of ${made.steps} steps (t = ${made.times[at - 1]} is done): the spread of their pixels is ${deviation.toFixed(2)}.`;
}

function rowsOf(made) {
  const row = (images, at) => [String(at), ...Object.values(spread(images)).map((value) => value.toFixed(3))];
  return { columns: ["steps", "mean", "spread"], rows: made.states.slice(0, made.made() + 1).map(row) };
}
