// A linear VAE of digits: turn the number of latents and the weight of the KL term, and see what comes back.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { heatMap } from "studium_widgets/controls/heat_map.js";
import { lineChart } from "studium_widgets/controls/line_chart.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { border, optimum, reconstructions } from "./dial_maths.js";

const LATENTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48];
const WEIGHTS = [1e-6, 1e-4, 1e-2, 0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const FLOOR = 1e-3; // variances below are drawn here
const DRAWN = 40; // directions in the chart
const three = (value) => String(Number(value.toPrecision(3)));
const percent = (share) => `${(100 * share).toFixed(1)} %`;

export default widget((ui) => {
  ui.controls(
    slider(ui, "latents", { label: "Latents", values: LATENTS }),
    slider(ui, "weight", { label: "KL weight", values: WEIGHTS, format: three }),
    select(ui, "reduction", {
      label: "Put in a mistake",
      options: [
        ["sum", "None: the loss adds up sums"],
        ["mean", "Means in place of sums"],
      ],
    }),
  );
  ui.invite(
    "lower the KL weight until the digits come back. Then put in the mistake, one word in the loss, and count the latents that stay in use.",
  );
  demonstrate(ui, "latents", () => LATENTS.filter((latents) => latents <= ui.get("latents")));
  const tiles = facts(["Latents in use", "Variance lost"]);
  const axes = { x: { label: "direction of the data", range: [0, DRAWN + 1] }, y: { label: "variance", log: true } };
  const chart = lineChart(ui, { label: "Variance of each direction: arrows read it", ...axes, height: 250 });
  const map = heatMap(ui, { label: "Digits above, what comes back below", size: 900 });
  const note = h("p", { class: "st-note" }, "Above: eight digits. Below: what comes back from the latents in use.");
  const table = dataTable(ui, { caption: "Directions of the data" });
  const pictures = h("div", {}, map.element, note);
  ui.add(pictures, h("div", { class: "st-ld-dial" }, chart.element, tiles.element), table.element);
  return () => {
    const now = look(ui);
    tiles.draw([
      [String(now.active), `of ${now.latents}, for ${now.size} pixels`],
      [
        percent(now.lost),
        now.active ? "with unused directions and the latents' noise" : "every digit becomes the mean",
      ],
    ]);
    chart.draw(curves(now));
    map.draw(board(now));
    table.draw(() => rowsOf(now));
    ui.say(sentence(now));
  };
});

function look(ui) {
  const [latents, weight, reduction] = ["latents", "weight", "reduction"].map((name) => ui.get(name));
  const [mean, variances, directions] = ["mean", "variances", "directions"].map((name) => ui.array(name).data);
  const {
    data: images,
    shape: [count, size],
  } = ui.array("images");
  const least = border(weight, reduction, size, latents);
  const { active, lost } = optimum(variances, latents, least);
  const back = reconstructions({ images, count, mean, variances, directions }, active, least);
  return { latents, weight, reduction, size, least, active, lost, images, count, back, variances };
}

function curves({ variances, least, latents, active }) {
  const drawn = Array.from(variances.slice(0, DRAWN), (variance) => Math.max(variance, FLOOR));
  const x = drawn.map((_, i) => i + 1);
  const level = Math.min(Math.max(least, FLOOR), 10);
  const ends = latents < DRAWN ? [{ x: latents + 0.5, label: `d = ${latents}` }] : [];
  const bands = active ? [{ from: 0.5, to: Math.min(active, DRAWN) + 0.5, label: active > 8 ? "in use" : "" }] : [];
  const border = { name: "needed to be worth a latent", y: drawn.map(() => level), kind: "wrong" };
  return { x, series: [{ name: "variance of the digits", y: drawn, dots: true }, border], marks: ends, bands };
}

function board({ images, back, count, size }) {
  const side = Math.round(Math.sqrt(size));
  const [columns, rows] = [count * (side + 1) - 1, 2 * side + 1];
  const data = new Float64Array(columns * rows).fill(NaN);
  for (let i = 0; i < count * size; i++) {
    const [image, at] = [Math.floor(i / size), i % size];
    const place = Math.floor(at / side) * columns + image * (side + 1) + (at % side);
    data[place] = images[i];
    data[place + (side + 1) * columns] = back[i];
  }
  return { data, rows, columns, range: [-1, 1] };
}

function rowsOf({ variances, active }) {
  const rows = Array.from(variances.slice(0, DRAWN), (variance, i) => [
    String(i + 1),
    three(variance),
    i < active ? "in use" : "not in use",
  ]);
  return { columns: ["direction", "variance", ""], rows: [["in use", String(active), ""], ...rows] };
}

function sentence({ latents, weight, reduction, active, lost, size }) {
  const how = `KL weight ${three(weight)}, ${reduction}s`;
  return `${latents} latents, ${how}: ${active} in use, for ${size} pixels; ${percent(lost)} of the variance is lost.`;
}
