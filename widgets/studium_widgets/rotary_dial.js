// Rotary positions: dials that turn with the position, and the score of query and key over their offset.
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h } from "./controls/element.js";
import { legend } from "./controls/legend.js";
import { lineChart } from "./controls/line_chart.js";
import { memo } from "./controls/memo.js";
import { player } from "./controls/player.js";
import { select } from "./controls/select.js";
import { slider } from "./controls/slider.js";
import { short } from "./controls/ticks.js";
import { toggle } from "./controls/toggle.js";
import { widget } from "./controls/widget.js";
import { beyond, faces } from "./rotary_dial_faces.js";
import { curve, frequencies, score, unseen } from "./rotary_dial_maths.js";

const [NEAR, FURTHEST] = [2, 8]; // contexts that the positions reach to; rotary_dial.py has the second too
const POINTS = 360; // of the curve
const BASES = [100, 500, 1000, 5000, 10000, 50000, 100000, 500000, 1000000];
const DIMENSIONS = [4, 8, 16, 32, 64, 128];
const FACTORS = [1, 1.5, 2, 3, 4, 6, 8, 12, 16];
const METHODS = [
  ["none", "None"],
  ["linear", "Position interpolation"],
  ["ntk", "NTK-aware base"],
  ["yarn", "YaRN"],
];
const MISTAKES = [
  ["none", "None: it is right"],
  ["key still", "Key is not turned"],
  ["sign", "Key turns backwards"],
  ["mixed", "Halves, but angles of neighbours"],
  ["angles", "Exponent i/d, not 2i/d"],
];

export default widget((ui) => {
  const look = source(ui);
  const positions = follow(ui);
  const { mistake, together, rest } = controls(ui);
  ui.controls(positions[0].element, together, mistake);
  ui.more(positions[1].element, ...rest);
  ui.invite(
    "let the query move on: the first hands race, the last ones hardly turn. Then switch on “Move both”: all hands turn, but no blue angle changes, and the score stays.",
  );
  if (!ui.get("together")) demonstrate(ui, "query_position", positions[0].all);
  const dials = faces(ui, { moved: () => ui.redraw() });
  const key = legend(ui);
  const [x, y] = [{ label: "offset: tokens from key to query" }, { label: "score" }];
  const chart = lineChart(ui, { label: "Score over the offset: arrows read it", x, y, height: 230 });
  const table = dataTable(ui, { caption: "Pairs of dimensions" });
  ui.add(key.element, h("div", { class: "st-dials" }, dials.element), chart.element, table.element);
  return () => {
    const now = look();
    positions.forEach((part) => part.draw?.());
    key.draw(keyOf(now, ui.theme));
    dials.draw(now);
    chart.draw(chartOf(now, y, ui.theme));
    table.draw(() => rowsOf(now));
    ui.say(sentence(now, dials.chosen()));
  };
});

function keyOf(now, theme) {
  const hands = [
    { name: "query", stroke: theme.accent, dash: [] },
    { name: "key", stroke: theme.muted, dash: [4, 3] },
  ];
  const angle = { name: "the angle between them", stroke: theme.accent, mark: "◔" };
  return [
    ...hands,
    angle,
    ...(beyond(now) ? [{ name: "angles seen in training", stroke: theme.muted, mark: "◔" }] : []),
  ];
}

// The two positions; while they move together, a change of one is made to the other too.
function follow(ui) {
  const near = () =>
    ui.get("method") === "none" &&
    Math.max(ui.get("query_position"), ui.get("key_position")) <= NEAR * ui.get("context");
  const ends = () => [0, (near() ? NEAR : FURTHEST) * ui.get("context")];
  let offset = 0;
  const keep = () => (offset = ui.get("query_position") - ui.get("key_position"));
  const along = (from, to, sign) =>
    ui.on(from, () => {
      if (!ui.get("together")) return keep();
      const wanted = ui.get(from) + sign * offset;
      const [low, high] = ends();
      const kept = Math.min(high, Math.max(low, wanted));
      ui.set(to, kept);
      if (kept !== wanted) ui.set(from, kept - sign * offset);
    });
  keep();
  ui.on("together", keep);
  along("query_position", "key_position", -1);
  along("key_position", "query_position", 1);
  const made = (name, label) =>
    player(ui, name, { label, ends, duration: 12000, format: (value) => value.toLocaleString("en") });
  return [made("query_position", "Query stands at"), made("key_position", "Key stands at")];
}

function controls(ui) {
  const dimensions =
    ui.array("query") || ui.array("key")
      ? []
      : [slider(ui, "dimensions", { label: "Dimensions d", values: DIMENSIONS })];
  const mistake = select(ui, "mistake", { label: "Put in a mistake", options: MISTAKES });
  const together = toggle(ui, "together", { label: "Move both" });
  const rest = [
    ...dimensions,
    slider(ui, "base", { label: "Base θ", values: BASES, format: (value) => value.toLocaleString("en") }),
    select(ui, "method", { label: "Stretch the context by", options: METHODS }),
    slider(ui, "factor", { label: "Stretch factor", values: FACTORS, format: (value) => `${value} ×` }),
  ];
  return { mistake, together, rest };
}

function source(ui) {
  const ones = memo((d) => new Float32Array(d).fill(1));
  const speedsOf = memo((d, base, method, factor, context, mistake) => {
    const shared = { d, base, context, exponent: mistake === "angles" ? 1 : 2 };
    return { ...frequencies({ ...shared, method, factor }), trained: frequencies(shared).frequencies };
  });
  return () => {
    const names = ["dimensions", "base", "method", "factor", "context", "mistake"];
    const [d, base, method, factor, context, mistake] = names.map(ui.get);
    const found = speedsOf(d, base, method, factor, context, mistake);
    const [query, key] = ["query", "key"].map((name) => ui.array(name)?.data ?? ones(d));
    const shared = { query, key, speeds: found.frequencies, gain: found.gain, layout: ui.get("layout"), mistake };
    const [m, n] = [ui.get("query_position"), ui.get("key_position")];
    return { ...shared, trained: found.trained, context, method, factor, base, m, n, score: score(shared, m, n) };
  };
}

// Offsets from 0 to the longest that is asked for, the one in force among them.
function chartOf(now, y, theme) {
  const reach = Math.min(now.m, FURTHEST * now.context);
  const end = Math.max(2 * now.context, Math.abs(now.m - now.n), 1);
  const offsets = Float64Array.from({ length: POINTS }, (_, i) => (i * end) / (POINTS - 1));
  const plain = { ...now, speeds: now.trained, gain: 1, mistake: "none" };
  const series = [{ name: now.mistake === "none" ? "score" : "score, broken", y: curve(now, reach, offsets) }];
  if (now.method !== "none") series.push({ name: "not stretched", y: curve(plain, reach, offsets) });
  const scores = series.flatMap((line) => Array.from(line.y));
  const top = Math.max(1e-6, ...scores.map(Math.abs));
  y.range = [Math.min(-0.6 * top, 1.05 * Math.min(...scores)), 1.05 * top];
  const at = Math.abs(now.m - now.n);
  const marks = [{ x: at, label: `offset ${at}: score ${now.score.toFixed(2)}` }];
  return {
    x: offsets,
    series,
    marks,
    bands: [{ from: now.context, to: end, label: "not in training" }],
    layer: (context, axes) => standing(context, axes, at, now.score, theme),
  };
}

// Where the score stands on its curve.
function standing(context, { x, y }, offset, score, theme) {
  Object.assign(context, { fillStyle: theme.accent, strokeStyle: theme.surface, lineWidth: 2 });
  context.beginPath();
  context.arc(x.place(offset), y.place(score), 6, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}

const turns = (speed) => short(Number(((2 * Math.PI) / speed).toPrecision(4)));

function strangers({ speeds, trained, context, m, n }) {
  return Array.from(speeds, (speed, i) => unseen(speed, m - n, trained[i], context)).filter(Boolean).length;
}

function sentence(now, pair) {
  if (pair >= 0) {
    const angle = (now.m - now.n) * now.speeds[pair];
    const strange = unseen(now.speeds[pair], now.m - now.n, now.trained[pair], now.context)
      ? " Training never showed it this angle."
      : "";
    return `Pair ${pair} turns once every ${turns(now.speeds[pair])} positions; between the hands lie ${short(Number(angle.toPrecision(4)))} rad, cosine ${Math.cos(angle).toFixed(3)}.${strange}`;
  }
  const moved = score(now, now.m + 100, now.n + 100);
  const same = Math.abs(moved - now.score) <= 1e-9 * Math.max(1, Math.abs(now.score));
  const shift = same
    ? "it stays so when both move on by 100"
    : `with both moved on by 100 it is ${moved.toFixed(4)}: the score no longer depends on the offset alone`;
  const count = strangers(now);
  const strange = count ? ` ${count} of ${now.speeds.length} pairs see an angle that training never showed them.` : "";
  return `Offset ${now.m - now.n}: score ${now.score.toFixed(4)}; ${shift}.${strange}`;
}

function rowsOf(now) {
  const rows = Array.from(now.speeds, (speed, i) => {
    const angle = (now.m - now.n) * speed;
    const seen = unseen(speed, now.m - now.n, now.trained[i], now.context) ? "no" : "yes";
    return [String(i), turns(speed), angle.toFixed(3), Math.cos(angle).toFixed(3), seen];
  });
  return { columns: ["pair", "positions a turn", "angle", "cosine", "seen in training"], rows };
}
