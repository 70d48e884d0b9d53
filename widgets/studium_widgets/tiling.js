// FlashAttention tile by tile: the scores, the running sums of the rows on the chip, and the traffic to slow memory.
import { bars } from "./controls/bars.js";
import { choice } from "./controls/choice.js";
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h, put } from "./controls/element.js";
import { facts } from "./controls/facts.js";
import { fold } from "./controls/fold.js";
import { lineChart } from "./controls/line_chart.js";
import { player } from "./controls/player.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { stackedBar } from "./controls/stacked_bar.js";
import { toggle } from "./controls/toggle.js";
import { widget } from "./controls/widget.js";
import { board } from "./tiling_board.js";
import { MISTAKES } from "./tiling_maths.js";
import { model } from "./tiling_model.js";
import { chipParts, measured, number, rowTable, sentence, tableRows } from "./tiling_words.js";

const BLOCKS = [1, 2, 4, 8, 16, 32, 64];
const ORDERS = [
  ["rows", "Queries outside"],
  ["columns", "Keys outside"],
];

export default widget((ui) => {
  const { read, count } = model(ui);
  const clock = player(ui, "step", { label: "Tiles done", ends: () => [0, count()], duration: 7000 });
  const inside = () => ui.set("step", Math.min(ui.get("step"), count()));
  for (const name of ["length", "block_rows", "block_columns", "causal", "order"]) ui.on(name, inside);
  ui.controls(clock.element);
  ui.more(...settings(ui));
  demonstrate(ui, "step", clock.all, 3500);
  ui.invite(
    "play the tiles: the big matrix is never there as a whole, and still every row comes out exact. Then put in a mistake.",
  );
  const go = (step) => {
    clock.stop();
    ui.set("step", Math.max(0, Math.min(count(), step)));
  };
  const picture = board(ui, {
    label: "Tiles: arrows go from tile to tile",
    picked: go,
    moved: (by) => go(ui.get("step") + by),
  });
  const parts = panel(ui);
  const table = dataTable(ui, { caption: "Numbers moved and operations" });
  const sums = fold(ui, "The three numbers of each row on the chip", [parts.rows]);
  const growth = fold(ui, "Longer texts: numbers moved up to 16,384 tokens", [parts.chart.element]);
  ui.add(h("div", { class: "st-tiling" }, h("div", {}, picture.element), parts.element), sums, growth, table.element);
  return () => {
    const now = read();
    clock.draw();
    picture.draw(now);
    parts.draw(now);
    table.draw(() => tableRows(now));
    ui.say(sentence(now));
  };
});

function settings(ui) {
  const sizes = ui.array("q")
    ? []
    : [
        slider(ui, "length", { label: "Tokens N", min: 4, max: 64, step: 4 }),
        slider(ui, "width", { label: "Head size d", values: [2, 4, 8, 16, 32, 64] }),
      ];
  return [
    ...sizes,
    slider(ui, "block_rows", { label: "Queries in a block", values: BLOCKS }),
    slider(ui, "block_columns", { label: "Keys in a block", values: BLOCKS }),
    choice(ui, "order", { label: "Loop", options: ORDERS }),
    toggle(ui, "causal", { label: "Causal" }),
  ];
}

function panel(ui) {
  const mistake = select(ui, "mistake", {
    label: "Put in a mistake",
    options: Object.entries(MISTAKES).map(([name, [shown]]) => [name, shown]),
  });
  const effect = h("p", { class: "st-effect", "aria-live": "polite" });
  const rows = h("table", { class: "st-tiling-rows" });
  const traffic = bars(ui, { label: "Numbers moved between slow memory and chip", format: number });
  const chip = stackedBar("On the chip", ["q and a", "k and v", "scores", "m and ℓ"]);
  const tiles = facts(["Rows so far", "Work for each number moved"]);
  const chart = lineChart(ui, {
    label: "Numbers moved over the number of tokens",
    x: { label: "tokens N", log: true },
    y: { label: "numbers moved", log: true },
    height: 220,
  });
  const held = h("h4");
  const element = h(
    "div",
    {},
    held,
    chip.element,
    h("h4", {}, "Numbers moved between slow memory and chip"),
    traffic.element,
    tiles.element,
    mistake,
    effect,
  );
  const draw = (now) => {
    rows.replaceChildren(...rowTable(now));
    const flash = now.all.flash.read + now.all.flash.written;
    const plain = now.all.standard.read + now.all.standard.written;
    const bar = [
      { name: "Standard", value: plain, kind: "context" },
      { name: "Tiled", value: flash },
      { name: "Tiled, so far", value: now.soFar.read + now.soFar.written },
    ];
    traffic.draw(bar, Math.max(plain, flash));
    const scores = now.size ** 2;
    put(held, "textContent", `On the chip: ${number(now.all.chip)} numbers; all scores: ${number(scores)}`);
    chip.draw(chipParts(now), Math.max(scores, now.all.chip));
    const said = measured(now);
    tiles.draw(said.tiles);
    element.classList.toggle("st-tiling-wrong", said.wrong);
    chart.draw(now.growth);
    put(effect, "textContent", MISTAKES[now.mistake][1]);
  };
  return { element, draw, chart, rows };
}
