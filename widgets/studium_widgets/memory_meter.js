// The memory of a decoder, part by part, against the cards; and how it grows with the context.
import { choice } from "./controls/choice.js";
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h, put } from "./controls/element.js";
import { facts } from "./controls/facts.js";
import { lineChart } from "./controls/line_chart.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { stackedBar } from "./controls/stacked_bar.js";
import { toggle } from "./controls/toggle.js";
import { widget } from "./controls/widget.js";
import { batchSlider, cacheList, cardList, CONTEXTS, contextSlider, headList, modelList, weightList } from "./memory_meter_controls.js";
import { largestBatch, memory, PARTS, shape, total } from "./memory_meter_maths.js";
import { duration, gigabytes, heading, three } from "./memory_meter_words.js";
import { BYTES, CARDS, decode, parameters, seconds } from "./transformer_costs.js";

const MOST_CARDS = 16; // drawn
const RANKS = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const WINDOWS = [[-1, "As published"], [0, "None: all tokens"], [1024, "1,024"], [4096, "4,096"], [16384, "16,384"]];
const OPTIMISERS = [["sgd", "SGD"], ["momentum", "SGD, momentum"], ["adam", "Adam"], ["adam-8bit", "Adam, 8 bits"]];

export default widget((ui) => {
  const tasks = choice(ui, "task", { label: "Memory to", options: [["inference", "Run"], ["training", "Train"]] });
  ui.controls(contextSlider(ui), batchSlider(ui));
  ui.invite("lengthen the context: the weights stay as they are, and the cache grows until it is the larger part.");
  const settings = {
    inference: h("div", { class: "st-controls" }, headList(ui), select(ui, "window", { label: "Sliding window", options: WINDOWS }), weightList(ui), cacheList(ui)),
    training: h(
      "div",
      { class: "st-controls" },
      select(ui, "optimiser", { label: "Optimiser", options: OPTIMISERS }),
      weightList(ui),
      toggle(ui, "lora", { label: "LoRA" }),
      slider(ui, "rank", { label: "Rank", values: RANKS }),
      toggle(ui, "checkpointing", { label: "Checkpointing" }),
      toggle(ui, "flash", { label: "FlashAttention" }),
    ),
  };
  ui.more(tasks, modelList(ui), cardList(ui), settings.inference, settings.training);
  demonstrate(ui, "context", () => CONTEXTS.filter((context) => context <= ui.get("context")));
  const bar = stackedBar("Memory", PARTS);
  const needed = cardsOf();
  const tiles = { inference: facts(["In all", "Cards", "Largest batch", "A token, at best"]), training: facts(["In all", "Cards", "Largest batch", "For each parameter"]) };
  const chart = lineChart(ui, { label: "Memory over the context", x: { label: "context, tokens", log: true }, y: { label: "GB", log: true }, height: 280 });
  const source = h("p", { class: "st-effect" });
  const table = dataTable(ui, { caption: "Memory by parts, in bytes" });
  ui.add(h("div", { class: "st-memory" }, bar.element, needed.element, tiles.inference.element, tiles.training.element, chart.element, source), table.element);
  return () => {
    const now = read(ui);
    for (const task of ["inference", "training"]) settings[task].hidden = tiles[task].element.hidden = task !== now.options.task;
    const most = Math.max(now.sum, now.card.memory) * 1.12;
    bar.draw(now.parts.map((value) => [value, gigabytes(value)]), most, [{ at: now.card.memory, text: now.card.name }]);
    needed.draw(now);
    tiles[now.options.task].draw(readings(now));
    chart.draw(curves(now));
    put(source, "textContent", sourceOf(now));
    table.draw(() => rowsOf(now));
    ui.say(sentence(now));
  };
});

function read(ui) {
  const model = shape(ui.get("model"), ui.get("kv_heads"), ui.get("window"));
  const options = {
    ...Object.fromEntries(["task", "batch", "context", "optimiser", "checkpointing", "flash"].map((name) => [name, ui.get(name)])),
    weight: BYTES[ui.get("weight_dtype")],
    cache: BYTES[ui.get("cache_dtype")],
    rank: ui.get("lora") ? ui.get("rank") : 0,
  };
  const parts = memory(model, options);
  return { model, options, parts, sum: total(parts), card: CARDS[ui.get("card")] };
}

// The cards that are needed, each filled as far as it is; many are told by their number.
function cardsOf() {
  const [boxes, words] = [h("span", { class: "st-cards-row" }), h("span", { class: "st-label" })];
  const element = h("div", { class: "st-cards", "aria-hidden": "true" }, boxes, words);
  const draw = ({ sum, card }) => {
    const count = Math.ceil(sum / card.memory);
    const filled = (at) => Math.round(100 * Math.min(1, sum / card.memory - at));
    boxes.replaceChildren(...Array.from({ length: Math.min(MOST_CARDS, count) }, (_, at) => h("span", { class: "st-card" }, h("i", { style: `height: ${filled(at)}%` }))));
    put(words, "textContent", `${count > MOST_CARDS ? `… ${three(count)}` : count} × ${card.name}`);
  };
  return { element, draw };
}

function readings({ model, options, parts, sum, card }) {
  const cards = Math.ceil(sum / card.memory);
  const batch = largestBatch(model, options, card.memory);
  const first = [
    [gigabytes(sum), `${three(parameters(model) / 1e9)} billion parameters`],
    [cards === 1 ? "fits on 1" : `needs ${three(cards)}`, card.name],
    [three(batch), batch ? `sequences of ${three(options.context)} tokens on one card` : "not one sequence fits on one card"],
  ];
  if (options.task === "training") return [...first, [`${three((sum - parts[4] - parts[5]) / parameters(model))} bytes`, "activations and logits left out"]];
  const work = decode(model, { ...options, weightBytes: options.weight, cacheBytes: options.cache });
  return [...first, [duration(seconds(card, work)), "for the whole batch: weights and cache are read once"]];
}

// How the memory grows with the context: as it is, with what is the other way about, and what the card has.
function curves({ model, options, card }) {
  const size = (shown, more) => CONTEXTS.map((context) => total(memory(shown, { ...options, ...more, context })) / 1e9);
  const other = (kvHeads) => ({ ...model, kvHeads });
  const compared = options.task === "training"
    ? [["checkpointing", size(model, { checkpointing: true })], ["everything kept", size(model, { checkpointing: false, flash: false })]]
    : [["one KV head (MQA)", size(other(1))], [`${model.heads} KV heads (MHA)`, size(other(model.heads))]];
  const lines = [["in all", size(model), "chosen"], ...compared.map((line) => [...line, "context"]), [card.name, CONTEXTS.map(() => card.memory / 1e9), "wrong"]];
  return { x: CONTEXTS, series: lines.map(([name, y, kind]) => ({ name, y, kind })), marks: [{ x: options.context, label: three(options.context) }] };
}

function sourceOf({ model, options }) {
  const shapes = `${model.layers} layers of width ${three(model.width)}, ${model.heads} query heads, ${heading(model)} for keys and values. ${model.source}.`;
  if (options.task === "inference") return `${shapes} Buffers of the runtime come on top.`;
  const kept = model.gated ? "activations counted array by array for this block" : "activations by Korthikanti et al. 2022, arXiv:2205.05198";
  return `${shapes} ${kept[0].toUpperCase()}${kept.slice(1)}, in 16 bits; logits in fp32.`;
}

function sentence({ model, options, parts, sum, card }) {
  const largest = parts.indexOf(Math.max(...parts));
  const share = Math.round((100 * parts[largest]) / sum);
  const cards = Math.ceil(sum / card.memory);
  const fits = cards === 1 ? `fits on one ${card.name}` : `needs ${three(cards)} of ${card.name}`;
  const what = `${model.name}, ${options.task}, ${options.batch} × ${three(options.context)} tokens`;
  return `${what}: ${gigabytes(sum)}, of which ${PARTS[largest]} ${gigabytes(parts[largest])} (${share} %); it ${fits}.`;
}

function rowsOf({ parts, sum }) {
  const rows = PARTS.map((name, i) => [name, three(parts[i]), gigabytes(parts[i]), `${((100 * parts[i]) / sum).toFixed(1)} %`]).filter((_, i) => parts[i]);
  return { columns: ["part", "bytes", "size", "share"], rows: [...rows, ["in all", three(sum), gigabytes(sum), "100 %"]] };
}
