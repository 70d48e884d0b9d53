// Measured curves, points or bars; one of them can be asked for before it is shown.
import { bars } from "./controls/bars.js";
import { dataTable } from "./controls/data_table.js";
import { lineChart } from "./controls/line_chart.js";
import { barsVerdict, curveVerdict, prediction } from "./controls/prediction.js";
import { drawOn, entry } from "./controls/prediction_drawing.js";
import { extent, short } from "./controls/ticks.js";
import { widget } from "./controls/widget.js";

const DRAW = "Draw what you expect: drag across the chart, or use the arrow keys on it.";
const DRAG = "Drag each bar to what you expect, or use the arrow keys on it.";

export default widget((ui) => (ui.get("kind") === "bars" ? barsView(ui) : curvesView(ui)));

// Rows of y, the predicted one last; its truth is left out while it is asked for.
function content(ui) {
  const {
    data,
    shape: [series, points],
  } = ui.array("y");
  const rows = ui
    .get("names")
    .map((name, i) => ({ name, y: data.subarray(i * points, (i + 1) * points), dots: ui.get("kind") === "scatter" }));
  const asked = rows.find(({ name }) => name === ui.get("predict"));
  const x = ui.array("x")?.data ?? Float32Array.from({ length: points }, (_, i) => i);
  return {
    x,
    rows: [...rows.filter((row) => row !== asked), ...(asked ? [asked] : [])],
    asked,
    all: data.subarray(0, series * points),
  };
}

// The axis of y: what was given, or the data's own extent with a margin, and with zero where that is near.
function range(ui, all) {
  if (ui.get("y_range").length) return ui.get("y_range");
  const [low, high] = extent([all]);
  if (ui.get("log_y")) return [low / 1.2, high * 1.2];
  const margin = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 && low < 0.5 * high ? 0 : low - margin, high + margin];
}

function curvesView(ui) {
  const axis = (name) => ({ label: ui.get(`${name}_label`), log: ui.get(`log_${name}`) });
  const [x, y] = [axis("x"), axis("y")];
  const label = `${y.label} over ${x.label}: arrows read it${ui.get("predict") ? ", and draw a prediction" : ""}`;
  const chart = lineChart(ui, { label, x, y, height: 300, moved: () => ui.redraw() });
  const points = () => content(ui).x.length;
  const guess = ui.get("predict")
    ? prediction(ui, { count: points, how: DRAW, called: (i) => `${x.label} ${short(content(ui).x[i])}` })
    : null;
  const pen = guess && drawOn(ui, chart, guess, ui.get("predict"));
  if (guess) ui.add(guess.element);
  const table = dataTable(ui, { caption: `${y.label} over ${x.label}` });
  ui.add(chart.element, table.element);
  return () => {
    const now = content(ui);
    Object.assign(x, axis("x"));
    Object.assign(y, axis("y"), { range: range(ui, now.all) });
    const series = guess?.asking() ? now.rows.filter((row) => row !== now.asked) : now.rows;
    const own = guess?.asking() || guess?.predicted(); // from the start, lest the chart jump while it is drawn on
    if (guess && now.asked) now.asked.share = guess.share();
    chart.draw({ x: now.x, series, layer: pen?.layer, named: own ? [entry(ui.theme)] : [] });
    table.draw(() => rowsOf(x.label, now.x, series));
    ui.say(sentence(ui, now, { series, guess, pen, axis: { label: x.label, range: y.range, log: y.log } }));
  };
}

function sentence(ui, now, { series, guess, pen, axis }) {
  if (guess?.asking()) return pen.spoken() || `What will ${now.asked.name} look like?`;
  if (guess?.predicted()) return curveVerdict(guess.values(), now.asked.y, now.x, { name: now.asked.name, ...axis });
  return `${series.map(({ name, y }) => `${name} goes from ${short(y[0])} to ${short(y.at(-1))}`).join("; ")}.`;
}

function rowsOf(label, x, series) {
  const rows = Array.from(x, (at, i) => [short(at), ...series.map(({ y }) => short(y[i]))]);
  return { columns: [label, ...series.map(({ name }) => name)], rows };
}

function barsView(ui) {
  const guess = ui.get("predict")
    ? prediction(ui, { count: () => ui.get("labels").length, how: DRAG, called: (i) => ui.get("labels")[i] })
    : null;
  const picture = bars(ui, {
    label: ui.get("y_label"),
    format: (value) => short(Number(value.toPrecision(3))),
    ask: guess,
  });
  const table = dataTable(ui, { caption: ui.get("y_label") });
  if (guess) ui.add(guess.element);
  ui.add(picture.element, table.element);
  return () => {
    const { data } = ui.array("y");
    const [labels, asking] = [ui.get("labels"), Boolean(guess?.asking())];
    const top = range(ui, data)[1];
    picture.draw(
      labels.map((name, i) => ({ name, value: asking ? null : data[i] })),
      top,
    );
    table.draw(() => ({
      columns: ["", ui.get("y_label")],
      rows: labels.map((name, i) => [name, asking ? "?" : short(data[i])]),
    }));
    ui.say(barsSentence(ui, guess, data, labels, top));
  };
}

function barsSentence(ui, guess, data, labels, top) {
  if (guess?.asking()) return `How large is ${ui.get("y_label")} for each?`;
  if (guess?.predicted())
    return barsVerdict(guess.values(), data, labels, { name: ui.get("predict"), range: [0, top] });
  const [most, least] = [data.indexOf(Math.max(...data)), data.indexOf(Math.min(...data))];
  return `${labels[most]} has the largest ${ui.get("y_label")}, ${short(data[most])}; ${labels[least]} the smallest, ${short(data[least])}.`;
}
