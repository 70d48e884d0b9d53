// One text in two lanes, without a cache and with one. Both get the same time, and the products are counted in them.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { whenSeen } from "studium_widgets/controls/demonstration.js";
import { h, suppress } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { lineChart } from "studium_widgets/controls/line_chart.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { choices, given, penOf, temperature, worded } from "./growing.js";
import { modelOf, paper } from "./paper.js";
import { multiplications } from "./writing.js";

const TURN = 6; // ms of one frame that go into each lane
const LANES = [
  { name: "without a cache", title: "Without a cache: reads it all again", way: { keep: false, chunk: 16 } },
  { name: "with a cache", title: "With a cache: reads what is new", way: {} },
];

export default widget((ui) => {
  const run = race(ui);
  const again = h("button", { type: "button", class: "st-button st-main", ...suppress }, "Race with a clock");
  again.addEventListener("click", run.again, { signal: ui.signal });
  ui.controls(
    h("div", { class: "st-control" }, again),
    slider(ui, "written", { label: "Characters", min: 1, max: ui.get("length") }),
  );
  ui.more(temperature(ui), ...choices(ui));
  ui.invite("let them race, and then again with twice as many characters. Who falls behind, and how far?");
  const sheets = LANES.map(({ name }) => paper(`The text ${name}`));
  const lanes = LANES.map(({ title }, i) => h("div", { class: "st-part" }, h("h4", {}, title), sheets[i].element));
  const work = bars(ui, { label: "Multiply-adds so far, in millions", format: (value) => `${millions(value)} M` });
  const tiles = facts(["Multiply-adds", "For the last character", "Time in this page"]);
  const chart = lineChart(ui, {
    label: "Multiply-adds of each character",
    x: { label: "character" },
    y: { label: "million multiply-adds" },
    height: 220,
  });
  const table = dataTable(ui, { caption: "Multiply-adds of both lanes, in millions" });
  ui.add(
    h("div", { class: "st-sheets" }, ...lanes),
    h("div", {}, h("span", { class: "st-label" }, "Multiply-adds so far, in millions"), work.element),
    tiles.element,
    chart.element,
    table.element,
  );
  whenSeen(ui, lanes[0], run.begin);
  return () => {
    const now = run.state();
    sheets.forEach((sheet, i) =>
      sheet.draw(given(ui), worded(ui, now.pens[i].written.slice(0, now.shown[i])), {
        writes: now.running && now.shown[i] < now.wanted,
        room: now.wanted,
      }),
    );
    const spent = now.pens.map((pen, i) => sum(pen.costs.slice(0, now.shown[i])) / 1e6);
    const plan = planned(now, now.wanted);
    work.draw(
      LANES.map(({ name }, i) => ({ name, value: spent[i], kind: i === 0 ? "wrong" : "chosen" })),
      sum(plan[0]),
    );
    tiles.draw(numbers(now));
    chart.draw(curves(now, plan));
    table.draw(() => rowsOf(now));
    ui.say(sentence(now, spent));
  };
});

// The two pens, which write a turn each in every frame from the time at which they can be seen. `again` starts a round that
// is timed.
function race(ui) {
  const weights = modelOf(ui);
  const begun = LANES.map(({ way }) => penOf(ui, way));
  const now = { weights, pens: [], clocks: [0, 0], timed: false };
  let [seen, round, timing] = [false, 0, false];
  const begin = () => {
    seen = true;
    ui.redraw();
  };
  const again = () => {
    [round, timing] = [round + 1, true];
    begin();
  };
  const state = () => {
    const pens = begun.map((make) => make(weights, round));
    if (pens[0] !== now.pens[0]) {
      Object.assign(now, { pens, clocks: [0, 0], timed: timing });
      timing = false;
    }
    const wanted = ui.get("written");
    if (seen) pens.forEach((pen, i) => (now.clocks[i] += turn(pen, wanted)));
    const made = pens.map((pen) => Math.min(wanted, pen.written.length));
    const running = seen && made.some((count) => count < wanted);
    if (running) ui.redraw();
    return { ...now, wanted, running, shown: running && ui.still ? [0, 0] : made };
  };
  return { again, begin, state };
}

// Lets a pen write for its turn, and gives the ms that this took.
function turn(pen, wanted) {
  const start = performance.now();
  while (pen.written.length < wanted && performance.now() - start < TURN) pen.advance();
  return performance.now() - start;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const millions = (value) => (value < 100 ? value.toFixed(value < 10 ? 2 : 1) : Math.round(value).toLocaleString("en"));
const times = ([more, less]) => `${(more / less).toFixed(1)} ×`;
const against = (values, unit) => `${values.map(millions).join(" against ")} ${unit}`;

// What each of the first `count` characters takes, in millions, for each lane.
function planned({ weights, pens: [{ start }] }, count) {
  const each = (kept) =>
    Array.from(
      { length: count },
      (_, i) => multiplications(weights, start.length + i, kept && i ? 1 : start.length + i) / 1e6,
    );
  return [each(false), each(true)];
}

function curves({ wanted, shown }, plan) {
  const series = LANES.map(({ name }, i) => ({ name, y: plan[i], share: shown[i] / wanted }));
  return { x: plan[0].map((_, i) => i + 1), series: series.reverse() };
}

function numbers({ pens, shown, wanted, clocks, timed }) {
  const both = Math.min(...shown);
  if (!both)
    return [
      ["–", ""],
      ["–", ""],
      ["–", ""],
    ];
  const spent = pens.map((pen) => sum(pen.costs.slice(0, both)) / 1e6);
  const last = pens.map((pen) => pen.costs[both - 1] / 1e6);
  const done = timed && both === wanted && pens.every((pen) => pen.written.length === wanted);
  return [
    [times(spent), `${against(spent, "million")}, for ${both} characters`],
    [times(last), `${against(last, "million")}, for character ${both}`],
    done
      ? [times(clocks), `${clocks.map((ms) => Math.round(ms).toLocaleString("en")).join(" against ")} ms`]
      : ["–", timed ? "the clock runs" : "let them race with a clock"],
  ];
}

function rowsOf(now) {
  const both = Math.min(...now.shown);
  const costs = now.pens.map((pen) => pen.costs.slice(0, both).map((cost) => cost / 1e6));
  const row = (at) => [String(at + 1), ...costs.map((each) => millions(each[at]))];
  const some = Array.from({ length: both }, (_, i) => i).filter((i) => i === both - 1 || i % 20 === 19);
  return {
    columns: ["character", ...LANES.map(({ name }) => name)],
    rows: [
      ["to write", now.wanted, now.wanted],
      ["written", ...now.shown],
      ...some.map(row),
      ["all together", ...costs.map((each) => millions(sum(each)))],
    ],
  };
}

function sentence({ shown, wanted }, spent) {
  if (shown[0] < wanted) return `Both lanes write ${wanted} characters.`;
  return `${wanted} characters took ${millions(spent[0])} million multiply-adds without a cache and ${millions(spent[1])} million with one.`;
}
