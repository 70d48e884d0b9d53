// Particles in the plane under the exact scores of a Gaussian mixture: Langevin, annealed, diffusion, and guidance.
import { bars } from "./controls/bars.js";
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h } from "./controls/element.js";
import { facts } from "./controls/facts.js";
import { fold } from "./controls/fold.js";
import { player } from "./controls/player.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { widget } from "./controls/widget.js";
import { model } from "./particle_field_model.js";
import { planes } from "./particle_field_planes.js";
import { settings } from "./particle_field_settings.js";
import { groupName, NAMES, number, percent, rowsOf, sentence } from "./particle_field_words.js";

const COUNTS = [5, 10, 20, 50, 100, 200, 300, 400, 500, 750, 1000];
const [BUSY, IDLE, AT_ONCE] = [2, 6, 60]; // ms of a frame for walking: while something is moved, else, and without motion
const GROUNDS = [
  ["density", "Density"],
  ["class", "p(class | x)"],
  ["none", "None"],
];
const ARROWS = [
  ["none", "None"],
  ["score", "Score"],
  ["change", "Score: what a weight changes"],
];

const INVITES = {
  none: "play the steps and read the shares in the plot: do the particles find both modes in the right proportion?",
  classifier:
    "raise the scale: the pull to the class grows, and the particles keep away from its borders. The ground is the classifier's certainty.",
  "classifier-free":
    "raise the scale: the particles obey the label more, and leave the ground, the density that they should have.",
};

export default widget((ui) => {
  const { read, advance } = model(ui);
  const ends = () => [0, ui.get("steps")];
  const clock = player(ui, "step", { label: "Step", ends, duration: 5000 });
  const others = Object.entries(NAMES).filter(([name]) => name !== "yours" || ui.array("trajectory"));
  ui.on("steps", () => ui.set("step", ui.get("steps")));
  const side = settings(ui);
  const sampler = select(ui, "sampler", { label: "Sampler", options: others.filter(([name]) => name !== "yours") });
  const guided = ui.get("guidance") !== "none";
  side.scale.classList.add("st-particles-scale");
  ui.controls(...(guided ? [side.scale, clock.element] : [clock.element, sampler]), side.menu);
  ui.more(
    ...(guided ? [sampler] : [side.scale]),
    slider(ui, "steps", { label: "Steps in all", values: COUNTS }),
    select(ui, "background", { label: "Background", options: GROUNDS }),
    select(ui, "arrows", { label: "Arrows", options: ARROWS }),
    select(ui, "beside", {
      label: "Beside it",
      options: [
        ["none", "Nothing"],
        ...others.map(([name, shown]) => [name, name === "yours" ? shown : `${shown}, correct`]),
      ],
    }),
    ...side.rest,
  );
  ui.invite(INVITES[ui.get("guidance")]);
  demonstrate(ui, "step", clock.all, 4000);
  const parts = { planes: planes(ui), side, shares: bars(ui, { label: "Share of the particles", format: percent }) };
  const tiles = facts(["Distance to exact", "Width of the cloud", "Mean radius"]);
  const table = dataTable(ui, { caption: "Shares of the particles now, and of the exact density" });
  const key = h("p", { class: "st-effect" }, "Share of the particles; the stroke marks the exact density's.");
  const main = h(
    "div",
    { class: "st-particles" },
    parts.planes.element,
    h("div", { class: "st-particles-key" }, tiles.element, side.effect),
  );
  ui.add(main, fold(ui, "All shares as bars", [key, parts.shares.element]), table.element);
  let moved = false;
  ui.on("", () => (moved = true));
  return () => {
    advance(ui.still ? AT_ONCE : moved ? BUSY : IDLE);
    moved = false;
    const now = read();
    clock.draw();
    parts.planes.draw(now);
    main.classList.toggle("st-particles-one", !now.beside && !now.yours);
    parts.side.draw(now);
    tiles.draw(readings(ui, now));
    parts.shares.draw(
      [...now.found.shares].map((value, g) => ({
        name: groupName(ui, now.guidance, g),
        value,
        mark: now.goal.shares[g],
        kind: now.guidance === "none" || g === ui.get("label") ? "chosen" : "context",
      })),
    );
    table.draw(() => rowsOf(ui, now));
    ui.say(sentence(ui, now));
    if (!now.arrived) ui.redraw();
  };
});

// How far the trace of the covariance is from the exact one.
function widthOf(ratio) {
  if (Math.abs(ratio - 1) < 0.02) return "right";
  return ratio < 2
    ? `${Math.round(100 * Math.abs(ratio - 1))} % too ${ratio < 1 ? "narrow" : "wide"}`
    : `× ${number(ratio)}, too wide`;
}

function readings(ui, { found, other, goal }) {
  const name = NAMES[ui.get("beside")];
  const far = (value) => (Number.isNaN(value) ? "…" : value < 100 ? value.toFixed(3) : number(value));
  const note = (exact, value) => (other ? `${exact}; ${name} ${value(other)}` : exact);
  const wide = (cloud) => widthOf(cloud.spread / goal.spread);
  return [
    [far(found.distance), note("of the two densities; right 0", (cloud) => far(cloud.distance))],
    [wide(found), note("spread beside the right one", wide)],
    [number(found.radius), note(`from the middle; right ${number(goal.radius)}`, (cloud) => number(cloud.radius))],
  ];
}
