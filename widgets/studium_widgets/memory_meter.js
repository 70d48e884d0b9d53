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
import { extent } from "./controls/ticks.js";
import {
  batchSlider,
  cacheList,
  cardList,
  CONTEXTS,
  contextSlider,
  headList,
  modelList,
  weightList,
} from "./memory_meter_controls.js";
import { largestBatch, memory, PARTS, shape, total } from "./memory_meter_maths.js";
import { duration, gigabytes, heading, three } from "./memory_meter_words.js";
import { BYTES, CARDS, decode, parameters, seconds } from "./transformer_costs.js";

const MOST_CARDS = 16; // marked one by one
const RANKS = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const WINDOWS = [
  [-1, "As published"],
  [0, "None: all tokens"],
  [1024, "1,024"],
  [4096, "4,096"],
  [16384, "16,384"],
];
const OPTIMISERS = [
  ["sgd", "SGD"],
  ["momentum", "SGD, momentum"],
  ["adam", "Adam"],
  ["adam-8bit", "Adam, 8 bits"],
];

export default widget((ui) => {
  const tasks = choice(ui, "task", {
    label: "Memory to",
    options: [
      ["inference", "Run"],
      ["training", "Train"],
    ],
  });
  ui.controls(contextSlider(ui), batchSlider(ui));
  ui.invite(
    "lengthen the context. The weights stay as they are, and the cache of keys and values grows with every token, until the card is full.",
  );
  const settings = {
    inference: h(
      "div",
      { class: "st-controls" },
      headList(ui),
      select(ui, "window", { label: "Sliding window", options: WINDOWS }),
      weightList(ui),
      cacheList(ui),
    ),
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
  const tiles = {
    inference: facts(["In all", "Largest batch", "A token, at best"]),
    training: facts(["In all", "Largest batch", "For each parameter"]),
  };
  const y = { label: "GB", log: true };
  const chart = lineChart(ui, {
    label: "Memory over the context",
    x: { label: "context, tokens", log: true },
    y,
    height: 280,
  });
  const source = h("p", { class: "st-effect" });
  const table = dataTable(ui, { caption: "Memory by parts, in bytes" });
  ui.add(
    h(
      "div",
      { class: "st-memory" },
      bar.element,
      tiles.inference.element,
      tiles.training.element,
      chart.element,
      source,
    ),
    table.element,
  );
  return () => {
    const now = read(ui);
    for (const task of ["inference", "training"])
      settings[task].hidden = tiles[task].element.hidden = task !== now.options.task;
    const cards = Math.ceil(now.sum / now.card.memory);
    bar.draw(
      now.parts.map((value) => [value, gigabytes(value)]),
      cards * now.card.memory,
      marksOf(now, cards),
    );
    tiles[now.options.task].draw(readings(now));
    const lines = curves(now);
    const [low, high] = extent(lines.series.map((line) => line.y));
    y.range = [low, 2.5 * high]; // room for the words above
    chart.draw(lines);
    put(source, "textContent", sourceOf(now));
    table.draw(() => rowsOf(now));
    ui.say(sentence(now));
  };
});

function read(ui) {
  const model = shape(ui.get("model"), ui.get("kv_heads"), ui.get("window"));
  const options = {
    ...Object.fromEntries(
      ["task", "batch", "context", "optimiser", "checkpointing", "flash"].map((name) => [name, ui.get(name)]),
    ),
    weight: BYTES[ui.get("weight_dtype")],
    cache: BYTES[ui.get("cache_dtype")],
    rank: ui.get("lora") ? ui.get("rank") : 0,
  };
  const parts = memory(model, options);
  return { model, options, parts, sum: total(parts), card: CARDS[ui.get("card")] };
}

// A stroke where each card is full, and at the last what they are.
function marksOf({ card, sum }, cards) {
  const each = Array.from({ length: cards > MOST_CARDS ? 0 : cards - 1 }, (_, i) => ({
    at: (i + 1) * card.memory,
    text: "",
  }));
  const text =
    cards === 1 ? `${card.name}, ${Math.round((100 * sum) / card.memory)} % full` : `${three(cards)} × ${card.name}`;
  return [...each, { at: cards * card.memory, text }];
}

function readings({ model, options, parts, sum, card }) {
  const cards = Math.ceil(sum / card.memory);
  const batch = largestBatch(model, options, card.memory);
  const first = [
    [gigabytes(sum), cards === 1 ? `fits on one ${card.name}` : `needs ${three(cards)} of ${card.name}`],
    [
      three(batch),
      batch ? `sequences of ${three(options.context)} tokens on one card` : "not one sequence fits on one card",
    ],
  ];
  if (options.task === "training")
    return [
      ...first,
      [`${three((sum - parts[4] - parts[5]) / parameters(model))} bytes`, "activations and logits left out"],
    ];
  const work = decode(model, { ...options, weightBytes: options.weight, cacheBytes: options.cache });
  return [...first, [duration(seconds(card, work)), "for the whole batch: weights and cache are read once"]];
}

// How the memory grows with the context: as it is, with what is the other way about, and what the card has.
function curves({ model, options, card }) {
  const size = (shown, more) => CONTEXTS.map((context) => total(memory(shown, { ...options, ...more, context })) / 1e9);
  const other = (kvHeads) => ({ ...model, kvHeads });
  const compared =
    options.task === "training"
      ? [
          ["checkpointing", size(model, { checkpointing: true })],
          ["everything kept", size(model, { checkpointing: false, flash: false })],
        ]
      : [
          ["one KV head (MQA)", size(other(1))],
          [`${model.heads} KV heads (MHA)`, size(other(model.heads))],
        ];
  const lines = [
    ["in all", size(model), "chosen"],
    ...compared.map((line) => [...line, "context"]),
    [card.name, CONTEXTS.map(() => card.memory / 1e9), "wrong"],
  ];
  return {
    x: CONTEXTS,
    series: lines.map(([name, y, kind]) => ({ name, y, kind, at: CONTEXTS.length - 1 })),
    marks: [{ x: options.context, label: `${three(options.context)} tokens` }],
  };
}

function sourceOf({ model, options }) {
  const shapes = `${three(parameters(model) / 1e9)} billion parameters: ${model.layers} layers of width ${three(model.width)}, ${model.heads} query heads, ${heading(model)} for keys and values. ${model.source}.`;
  if (options.task === "inference") return `${shapes} Buffers of the runtime come on top.`;
  const kept = model.gated
    ? "activations counted array by array for this block"
    : "activations by Korthikanti et al. 2022, arXiv:2205.05198";
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
  const rows = PARTS.map((name, i) => [
    name,
    three(parts[i]),
    gigabytes(parts[i]),
    `${((100 * parts[i]) / sum).toFixed(1)} %`,
  ]).filter((_, i) => parts[i]);
  return {
    columns: ["part", "bytes", "size", "share"],
    rows: [...rows, ["in all", three(sum), gigabytes(sum), "100 %"]],
  };
}
