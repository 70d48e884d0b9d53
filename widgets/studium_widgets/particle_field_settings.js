// The controls beside the picture; those that do not concern the sampler are hidden.
import { h, put } from "./controls/element.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { MISTAKES, possible } from "./particle_field_mistakes.js";
import { groupName } from "./particle_field_words.js";

const logarithmic = (low, high, count) =>
  Array.from({ length: count }, (_, i) => Number((low * (high / low) ** (i / (count - 1))).toPrecision(2)));
const SIGMAS = logarithmic(0.02, 20, 61);
const RATES = logarithmic(0.001, 1, 46);
const LEVELS = [1, 2, 3, 5, 10, 20, 50, 100];
const GUIDANCE = [
  ["none", "None"],
  ["classifier", "Classifier"],
  ["classifier-free", "Classifier-free"],
];
const two = (value) => value.toFixed(2);

/** Gives {menu, effect, scale, rest, draw(now)}: the mistake and what it does, the scale of guidance, and all others; `now` as from `model`. */
export function settings(ui) {
  const classes = [...new Set(ui.get("classes"))].sort((a, b) => a - b);
  const langevin = ({ sampler }) => /langevin|annealed/.test(sampler);
  const annealed = ({ sampler }) => sampler === "annealed";
  const guided = ({ guidance }) => guidance !== "none";
  const free = ({ guidance }) => guidance === "classifier-free";
  const part = (share) => `${Math.round(100 * share)} %`;
  const rows = [
    [
      "step_size",
      slider(ui, "step_size", { label: "Step size at the last σ", values: RATES, format: String }),
      langevin,
    ],
    [
      "sigma_max",
      slider(ui, "sigma_max", { label: "First σ of the ladder", values: SIGMAS, format: String }),
      annealed,
    ],
    ["levels", slider(ui, "levels", { label: "Levels", values: LEVELS }), annealed],
    [
      "sigma",
      slider(ui, "sigma", { label: "σ: noise on the data, at last", values: SIGMAS, format: String }),
      langevin,
    ],
    [
      "share",
      slider(ui, "share", { label: "Weight of mode 1", min: 0.02, max: 0.98, step: 0.02, format: two }),
      (now) => !guided(now) && now.mix.count > 1,
    ],
    [
      "distance",
      slider(ui, "distance", {
        label: "Distance of the modes",
        min: 0.2,
        max: 1.5,
        step: 0.05,
        format: (value) => `× ${two(value)}`,
      }),
      (now) => !guided(now),
    ],
    ["guidance", select(ui, "guidance", { label: "Guidance", options: GUIDANCE }), () => classes.length > 1],
    [
      "label",
      select(ui, "label", { label: "Class", options: classes.map((g) => [g, groupName(ui, "class", g)]) }),
      guided,
    ],
    [
      "scale",
      slider(ui, "scale", {
        label: "Scale",
        min: 0,
        max: 10,
        step: 0.25,
        format: (s) => `s ${two(s)}, w ${two(s - 1).replace("-", "−")}`,
      }),
      guided,
    ],
    [
      "classifier_temperature",
      slider(ui, "classifier_temperature", {
        label: "Classifier's temperature",
        min: 0.25,
        max: 4,
        step: 0.25,
        format: two,
      }),
      ({ guidance }) => guidance === "classifier",
    ],
    ["guide_from", slider(ui, "guide_from", { label: "Guided from", min: 0, max: 1, step: 0.05, format: part }), free],
    ["guide_to", slider(ui, "guide_to", { label: "Guided until", min: 0, max: 1, step: 0.05, format: part }), free],
    ["rescale", slider(ui, "rescale", { label: "Rescale φ", min: 0, max: 1, step: 0.05, format: two }), free],
  ];
  const scale = rows.find(([name]) => name === "scale")[1];
  const menu = select(ui, "mistake", {
    label: "Put in a mistake",
    options: MISTAKES.map(([name, shown]) => [name, shown]),
  });
  const effect = h("p", { class: "st-effect", "aria-live": "polite" });
  const draw = (now) => {
    for (const [, control, shown] of rows) control.hidden = !shown(now);
    const names = possible(now).map(([name]) => name);
    for (const option of menu.querySelectorAll("option"))
      option.hidden = option.disabled = !names.includes(option.value);
    menu.querySelector("select").value = now.mistake[0];
    put(effect, "textContent", now.mistake[2]);
  };
  return { menu, effect, scale, rest: rows.map(([, control]) => control).filter((control) => control !== scale), draw };
}
