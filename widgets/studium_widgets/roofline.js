// The roofline of a card, with the work of a model below it; the points of batch and prompt can be dragged.
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h } from "./controls/element.js";
import { fold } from "./controls/fold.js";
import { widget } from "./controls/widget.js";
import {
  BATCHES,
  batchSlider,
  cacheList,
  cardList,
  CONTEXTS,
  contextSlider,
  headList,
  modelList,
  weightList,
} from "./memory_meter_controls.js";
import { duration, operations, three } from "./memory_meter_words.js";
import { rooflineChart } from "./roofline_chart.js";
import { measuredPoints, nearestValue, points } from "./roofline_maths.js";
import { BYTES, CARDS } from "./transformer_costs.js";

const VALUES = { batch: BATCHES, context: CONTEXTS };

export default widget((ui) => {
  ui.controls(batchSlider(ui), contextSlider(ui));
  ui.more(modelList(ui), cardList(ui), headList(ui), weightList(ui), cacheList(ui));
  ui.invite(
    "raise the batch. Each byte of the weights then serves more texts, and decoding climbs towards the roof, until the caches hold it back, which no two texts share.",
  );
  demonstrate(ui, "batch", () => BATCHES.filter((batch) => batch <= ui.get("batch")));
  const read = (more = {}) => {
    const card = CARDS[ui.get("card")];
    const state = {
      model: ui.get("model"),
      kvHeads: ui.get("kv_heads"),
      batch: ui.get("batch"),
      context: ui.get("context"),
    };
    return points({
      ...state,
      weightBytes: BYTES[ui.get("weight_dtype")],
      cacheBytes: BYTES[ui.get("cache_dtype")],
      card,
      ...more,
    });
  };
  const dragged = ({ name, moved }, wanted) => {
    const at = (value) => read({ [moved]: value }).find((point) => point.name === name).intensity;
    ui.set(moved, nearestValue(VALUES[moved], at, wanted));
  };
  const stepped = (axis, by) => {
    const values = VALUES[axis];
    const now = values.indexOf(nearestValue(values, Number, ui.get(axis)));
    ui.set(axis, values[Math.max(0, Math.min(values.length - 1, now + by))]);
  };
  const chart = rooflineChart(ui, {
    label: "Roofline: left and right change the batch, up and down the context",
    dragged,
    stepped,
  });
  const list = h("ul", { class: "st-roof-points" });
  const hint = h(
    "p",
    { class: "st-effect" },
    "Drag point 1 to change the batch, and point 2 to change the context. Round points are the best that the card allows; square ones were measured.",
  );
  const table = dataTable(ui, { caption: "Work, traffic and the roof" });
  ui.add(chart.element, hint, fold(ui, "The points in numbers", [list]), table.element);
  return () => {
    const card = CARDS[ui.get("card")];
    if (ui.array("measured")?.data.some((number) => !(number > 0)))
      throw new Error("measured numbers above 0 are needed");
    const measured = ui.array("measured") ? measuredPoints(ui.array("measured").data, ui.get("names"), card) : [];
    const all = [...read(), ...measured];
    chart.draw({ card, points: all });
    list.replaceChildren(...all.map((point, i) => row(point, i, card)));
    table.draw(() => rowsOf(all));
    ui.say(sentence(all[0], all[1], card));
  };
});

function row({ name, intensity, rate, time, share, bound }, i, card) {
  const part = `${Math.round((100 * rate) / card.peak)} % of the peak`;
  const last = share === undefined ? `at best ${duration(time)}` : `${Math.round(100 * share)} % of the roof`;
  const cells = [`${three(intensity)} FLOP/B`, `${operations(rate, "FLOP/s")}`, part, last];
  return h(
    "li",
    {},
    h("span", { class: "st-roof-number" }, String(i + 1)),
    h("span", {}, name, " ", h("span", { class: "st-roof-bound" }, `${bound}-bound`)),
    ...cells.map((text) => h("span", {}, text)),
  );
}

function rowsOf(all) {
  const rows = all.map(({ name, flops, bytes, intensity, rate, bound }) => [
    name,
    flops ? operations(flops) : "–",
    bytes ? three(bytes) : "–",
    three(intensity),
    operations(rate, "FLOP/s"),
    bound,
  ]);
  return { columns: ["work", "operations", "bytes", "FLOP a byte", "at best or measured", "bound by"], rows };
}

function sentence(decoding, reading, card) {
  const part = (point) =>
    `${three(point.intensity)} FLOP a byte, ${point.bound}-bound, at best ${Math.round((100 * point.rate) / card.peak)} % of the peak and ${duration(point.time)}`;
  return `${card.name}: the roof bends at ${three(card.peak / card.bandwidth)} FLOP a byte. Decoding a token: ${part(decoding)}. Reading the prompt: ${part(reading)}.`;
}
