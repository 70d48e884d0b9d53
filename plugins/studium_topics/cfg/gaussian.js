// Five densities on a line: all data, those with the label, the tilted density, and the samples of DDPM and DDIM.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h } from "studium_widgets/controls/element.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { facts } from "studium_widgets/controls/facts.js";
import { lineChart } from "studium_widgets/controls/line_chart.js";
import { memo } from "studium_widgets/controls/memo.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { density, linearAbar, sampled, tilted, WIDE } from "./gaussian_maths.js";

const STEPS = [10, 20, 50, 100, 200, 500, 1000];
const LEVELS = [0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 200];
const POINTS = 481;
const minus = (text) => text.replace("-", "−");
const three = (value) => minus(String(Number(value.toPrecision(3))));
const level = (sigma) => (sigma === 200 ? "∞" : String(sigma));

export default widget((ui) => {
  ui.controls(
    slider(ui, "scale", {
      label: "Scale",
      min: 0,
      max: 10,
      step: 0.25,
      format: (s) => `s ${s.toFixed(2)}, w ${minus((s - 1).toFixed(2))}`,
    }),
  );
  ui.more(
    slider(ui, "steps", { label: "Steps", values: STEPS, format: (steps) => steps.toLocaleString("en") }),
    slider(ui, "mean", { label: "Label's mean", min: 0, max: 2, step: 0.1, format: (value) => value.toFixed(1) }),
    slider(ui, "variance", {
      label: "Label's variance",
      min: 0.1,
      max: 1.9,
      step: 0.1,
      format: (value) => value.toFixed(1),
    }),
    slider(ui, "high", { label: "Guided up to σ", values: LEVELS, format: level }),
  );
  ui.invite(
    "raise the scale. The formula promises one density; the two samplers end in two others, both too narrow or in the wrong place.",
  );
  demonstrate(ui, "scale", () => Array.from({ length: 4 * ui.get("scale") + 1 }, (_, i) => i / 4));
  const axes = { x: { label: "x" }, y: { label: "density" } };
  const chart = lineChart(ui, { label: "Densities: arrows move the reading", ...axes, height: 340 });
  const tiles = facts(["Promised: variance", "DDPM: variance", "DDIM: variance"]);
  const note = h(
    "p",
    { class: "st-effect" },
    "A peak that is cut off at the top is narrower than can be drawn beside the others.",
  );
  const table = dataTable(ui, { caption: "Mean and variance" });
  ui.add(tiles.element, chart.element, note, table.element);
  const schedule = memo(linearAbar);
  return () => {
    const now = Object.fromEntries(["mean", "variance", "scale", "high"].map((name) => [name, ui.get(name)]));
    const abar = schedule(ui.get("steps"));
    const found = { exact: tilted(now), ddpm: sampled(now, abar, 1), ddim: sampled(now, abar, 0) };
    note.hidden = !drawCurves(chart, axes, now, found);
    tiles.draw(tilesOf(found));
    table.draw(() => rowsOf(now, found));
    ui.say(sentence(now, ui.get("steps"), found));
  };
});

// Tells whether a peak is cut off.
function drawCurves(chart, axes, now, { exact, ddpm, ddim }) {
  const given = { mean: now.mean, variance: now.variance };
  const all = { mean: 0, variance: WIDE };
  const end = Math.max(5, ...[exact, ddpm, ddim].map(({ mean, variance }) => mean + 3 * Math.sqrt(variance)));
  const x = Array.from({ length: POINTS }, (_, i) => -5 + ((end + 5) * i) / (POINTS - 1));
  const series = [
    ["all data", all, "context"],
    ["with the label", given, "context"],
    ["promised", exact, "right"],
    ["DDPM", ddpm, "chosen"],
    ["DDIM", ddim, "wrong"],
  ];
  const peak = (...gaussians) => Math.max(...gaussians.map(({ variance }) => 1 / Math.sqrt(2 * Math.PI * variance)));
  const [highest, most] = [1.06 * peak(all, given, exact, ddpm, ddim), 3 * peak(all, given, exact)];
  axes.y.range = [0, Math.min(highest, most)];
  chart.draw({
    x,
    series: series.map(([name, gaussian, kind]) => ({
      name,
      kind,
      y: density(gaussian, x),
      at: nearest(x, gaussian.mean),
    })),
  });
  return highest > most;
}

const nearest = (x, mean) => Math.round(((mean - x[0]) / (x.at(-1) - x[0])) * (x.length - 1));

function tilesOf({ exact, ddpm, ddim }) {
  const against = ({ mean, variance }) => [three(variance), `${off(variance / exact.variance)}; mean ${three(mean)}`];
  return [[three(exact.variance), `the tilted density; mean ${three(exact.mean)}`], against(ddpm), against(ddim)];
}

// How far a variance is from the exact one.
function off(ratio) {
  if (Math.abs(ratio - 1) < 0.005) return "as it should be";
  return ratio < 1 ? `${Math.round(100 * (1 - ratio))} % too small` : `${Math.round(100 * (ratio - 1))} % too large`;
}

function rowsOf(now, { exact, ddpm, ddim }) {
  const rows = [
    ["all data", { mean: 0, variance: WIDE }],
    ["with the label", now],
    ["tilted density", exact],
    ["DDPM", ddpm],
    ["DDIM", ddim],
  ];
  return {
    columns: ["", "mean", "variance"],
    rows: rows.map(([name, { mean, variance }]) => [name, three(mean), three(variance)]),
  };
}

function sentence({ scale, high }, steps, { exact, ddpm, ddim }) {
  const of = ({ mean, variance }) => `${three(variance)} and mean ${three(mean)}`;
  const where = high === 200 ? "" : high === 0 ? ", guided nowhere" : `, guided up to the noise level ${level(high)}`;
  const asked = `s = ${three(scale)} (w = ${three(scale - 1)}), ${steps.toLocaleString("en")} steps${where}`;
  return `${asked}: the tilted density has variance ${of(exact)}; DDPM gives ${of(ddpm)}, DDIM ${of(ddim)}.`;
}
