// Forward and backward ladder of a diffusion on a Gaussian mixture: schedule, particles and an exact sampler.
import { choice } from "./controls/choice.js";
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h } from "./controls/element.js";
import { facts } from "./controls/facts.js";
import { fold } from "./controls/fold.js";
import { legend } from "./controls/legend.js";
import { player } from "./controls/player.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { widget } from "./controls/widget.js";
import { curves, LOSS, NAMES, reading, SIGNAL } from "./noise_schedule_curves.js";
import { length, model, PARTICLES } from "./noise_schedule_model.js";
import { planes } from "./noise_schedule_planes.js";
import { BUGS } from "./noise_schedule_sampler.js";

const LENGTHS = [
  4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500, 600, 800, 1000,
];
const COUNTS = [1, 2, 3, 4, 5, 8, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1000];
const BUDGET = 4; // ms of a frame for walking particles
const TRUE_ON_MODE = 1 - Math.exp(-4.5); // of a Gaussian in the plane, within three standard deviations

export default widget((ui) => {
  const { read, advance } = model(ui);
  const lengths = slider(ui, "steps", { label: "Steps T", values: LENGTHS, format: (T) => T.toLocaleString("en") });
  const kinds = Object.entries(NAMES).filter(([kind]) => kind !== "yours" || ui.get("abar"));
  const clock = timeline(ui);
  const { mistake, effect, rest } = sampler(ui);
  ui.controls(clock.element, select(ui, "schedule", { label: "Schedule", options: kinds }), mistake);
  ui.more(lengths, ...rest);
  ui.invite(
    "play t down to the data. Out of pure noise, the dots gather on the modes, where the data lie. Then put in a mistake and see where they end.",
  );
  demonstrate(ui, "t", clock.all, 4000);
  const plane = planes(ui);
  const results = readouts();
  const moved = (t) => ui.set("t", t);
  const [signal, others] = [SIGNAL, LOSS].map((panels) => curves(ui, { panels, moved }));
  const theory = facts(["Variance in theory"]);
  const key = legend(ui);
  const table = dataTable(ui, { caption: "The schedule at some t" });
  const further = fold(ui, "More curves: noise, signal to noise, and loss", [
    key.element,
    h("div", {}, others.element),
    theory.element,
  ]);
  ui.add(
    h("div", { class: "st-noise" }, plane.element, effect, results.element),
    h("div", {}, signal.element),
    further,
    table.element,
  );
  return () => {
    const now = read();
    const arrived = advance(BUDGET);
    clock.draw();
    plane.draw(now);
    results.draw(now);
    signal.draw(now);
    if (further.open) others.draw(now);
    theory.draw([inTheory(now)]);
    lengths.querySelector("input").disabled = now.kind === "yours";
    const names = Object.values(NAMES).slice(0, now.lines.yours || now.loss.yours ? 4 : 3);
    key.draw(names);
    table.draw(() => rowsOf(now));
    ui.say(sentence(ui, now));
    if (!arrived) ui.redraw();
  };
});

function sampler(ui) {
  const variances = [
    ["beta-tilde", "β̃"],
    ["beta", "β"],
  ];
  const spacings = [
    ["leading", "Leading"],
    ["trailing", "Trailing"],
  ];
  const effect = h("p", { class: "st-noise-effect", "aria-live": "polite" });
  const explain = () => (effect.textContent = BUGS.find(([bug]) => bug === ui.get("bug"))[2]);
  ui.on("bug", explain);
  explain();
  const mistake = select(ui, "bug", { label: "Put in a mistake", options: BUGS.map(([bug, shown]) => [bug, shown]) });
  const rest = [
    slider(ui, "sampling_steps", { label: "Sampling steps", values: COUNTS }),
    slider(ui, "eta", { label: "η: 0 DDIM, 1 DDPM", min: 0, max: 1, step: 0.05, format: (value) => value.toFixed(2) }),
    choice(ui, "variance", { label: "Noise variance", options: variances }),
    choice(ui, "spacing", { label: "Timesteps", options: spacings }),
  ];
  return { mistake, effect, rest };
}

// T − 1 is where t starts to play, and it moves with T.
function timeline(ui) {
  const ends = () => [length(ui) - 1, -1];
  const inside = () => ui.set("t", Math.min(ui.get("t"), length(ui) - 1));
  for (const name of ["steps", "schedule"]) ui.on(name, inside);
  return player(ui, "t", {
    label: "Noise level t",
    ends,
    format: (t) => (t < 0 ? "−1: data" : `${t} of ${length(ui) - 1}`),
  });
}

function readouts() {
  const tiles = facts(["Samples on a mode", "Spread around it"]);
  const draw = ({ crowd: { quality } }) =>
    tiles.draw([
      [quality ? percent(quality.onMode) : "…", `of the data ${percent(TRUE_ON_MODE)}`],
      [quality ? off(quality.ratio) : "…", quality ? `× ${number(quality.ratio)} of the data's` : ""],
    ]);
  return { element: tiles.element, draw };
}

function inTheory({ variance, steps }) {
  const without = steps.wrong === steps.right ? "" : `; without the mistake ${number(variance.right)}`;
  return [off(variance.wrong), `of a mode, by the formula: V / s² = ${number(variance.wrong)}${without}`];
}

const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)}\u00a0%` : "–");
const number = (value) => (Number.isFinite(value) ? (value > 100 ? value.toExponential(1) : value.toFixed(3)) : "–");

// How far a size is from the true one, of which it is `ratio` times.
function off(ratio) {
  if (!Number.isFinite(ratio)) return "–";
  if (Math.abs(ratio - 1) < 0.005) return "right";
  if (ratio > 10) return `× ${number(ratio)}`;
  return `${(100 * Math.abs(ratio - 1)).toFixed(ratio < 1.1 && ratio > 0.9 ? 1 : 0)} % ${ratio < 1 ? "too small" : "too large"}`;
}

function sentence(ui, { t, T, kind, chosen, abar, crowd, steps }) {
  const where =
    t < 0
      ? "t = −1: the data"
      : `t = ${t} of ${T}, ${NAMES[kind]}: ᾱ = ${reading(abar)}, SNR ${reading(chosen.snr[t])}`;
  const name = ui.get("eta") === 0 ? "DDIM" : ui.get("eta") === 1 ? "Ancestral" : `η = ${ui.get("eta").toFixed(2)}`;
  const bug = ui.get("bug") === "none" ? "" : ` with “${BUGS.find(([value]) => value === ui.get("bug"))[1]}”`;
  const found = crowd.quality;
  const end = found
    ? `${percent(found.onMode)} of ${PARTICLES} samples end on a mode, spread ×\u00a0${number(found.ratio)}`
    : "sampling";
  return `${where}. ${name} sampling in ${steps.wrong.times.length} steps${bug}: ${end}.`;
}

function rowsOf({ T, chosen, loss }) {
  const at = [...new Set(Array.from({ length: 21 }, (_, i) => Math.round((i * (T - 1)) / 20)))];
  const columns = ["t", "ᾱ", "β", "SNR", "share of simple loss, × mean", "share of bound, × mean"];
  const rows = at.map((t) => [
    String(t),
    ...[chosen.abar, chosen.beta, chosen.snr, loss.simple, loss.bound].map((values) => reading(values[t])),
  ]);
  return { columns, rows };
}
