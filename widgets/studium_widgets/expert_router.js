// A router: tokens flow to experts, buckets run over, and a loss tries to keep the flows even.
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h, put } from "./controls/element.js";
import { facts } from "./controls/facts.js";
import { fold } from "./controls/fold.js";
import { flowGraph } from "./controls/graph.js";
import { lineChart } from "./controls/line_chart.js";
import { memo } from "./controls/memo.js";
import { slider } from "./controls/slider.js";
import { stepper } from "./controls/stepper.js";
import { toggle } from "./controls/toggle.js";
import { widget } from "./controls/widget.js";
import {
  auxiliaryLoss,
  balancing,
  dispatch,
  evenness,
  gateLogits,
  gates,
  meanProbabilities,
  softmaxRows,
  squaredVariation,
  topExperts,
} from "./expert_router_maths.js";

const CAPACITIES = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4];
const percent = (share) => `${(100 * share).toFixed(1)} %`;

export default widget((ui) => {
  const look = source(ui);
  ui.controls(
    slider(ui, "favour", {
      label: "Bias for expert 0",
      min: 0,
      max: 6,
      step: 0.25,
      format: (value) => value.toFixed(2),
    }),
    slider(ui, "balance", { label: "Balancing steps", min: 0, max: 40 }),
  );
  ui.more(...further(ui));
  ui.invite(
    "raise the bias for expert 0. Its room runs over while others stand half empty, and the orange tokens are dropped. Then take balancing steps.",
  );
  demonstrate(ui, "favour", () => Array.from({ length: 4 * ui.get("favour") + 1 }, (_, i) => i / 4));
  const flows = flowGraph(ui, {
    label: "Tokens to experts: arrows go from expert to expert",
    moved: () => ui.redraw(),
  });
  const tiles = facts(["Dropped", "Left empty", "Auxiliary loss"]);
  const rest = facts(["Evenness", "Importance CV²", "z-loss"]);
  const note = h("p", { class: "st-note" });
  const [x, y] = [{ label: "expert" }, { label: "share" }];
  const chart = lineChart(ui, { label: "Load and mean probability of each expert", x, y, height: 200 });
  const table = dataTable(ui, { caption: "Experts" });
  const balance = fold(ui, "What the losses see: load and probability of each expert", [chart.element, rest.element]);
  ui.add(h("div", { class: "st-flows" }, flows.element), note, tiles.element, balance, table.element);
  return () => {
    const now = look();
    flows.draw(graphOf(ui, now));
    put(
      note,
      "textContent",
      `A frame at the right is the room of an expert: ${now.limit} places. What finds none is orange and striped.`,
    );
    const readings = tilesOf(now);
    tiles.draw(readings.slice(0, 3));
    rest.draw(readings.slice(3));
    const shares = Float64Array.from(now.load, (count) => count / (now.tokens * now.k));
    y.range = [0, 1.08 * Math.max(...shares, ...now.means)];
    x.range = [-0.5, now.experts - 0.5];
    chart.draw({
      series: [
        { name: "share of the load, f/k", y: shares, dots: true },
        { name: "mean probability, P", y: now.means, dots: true },
      ],
    });
    table.draw(() => rowsOf(now));
    ui.say(sentence(now, flows.chosen()));
  };
});

// 0 is all; a saved state may hold another number than Python would.
function expertsOf(ui) {
  const [, columns] = ui.array("logits").shape;
  return Math.min(columns, Math.max(2, ui.get("experts") || columns));
}

function further(ui) {
  const columns = ui.array("logits").shape[1];
  const whole = { ...ui, get: (name) => (name === "experts" ? expertsOf(ui) : ui.get(name)) };
  return [
    slider(whole, "experts", { label: "Experts E", min: 2, max: columns }),
    stepper(ui, "top_k", { label: "Experts a token, k", min: 1, max: Math.min(8, columns) }),
    slider(ui, "capacity", { label: "Capacity factor", values: CAPACITIES }),
    slider(ui, "noise", { label: "Noise on the gate", min: 0, max: 3, step: 0.1, format: (value) => value.toFixed(1) }),
    toggle(ui, "renormalise", { label: "Gates sum to 1" }),
  ];
}

function source(ui) {
  const gate = memo((given, experts, favour, noise, seed) =>
    gateLogits(given.data, ...given.shape, { experts, favour, noise, seed }),
  );
  const descent = memo(balancing);
  return () => {
    const given = ui.array("logits");
    const [tokens] = given.shape;
    const experts = expertsOf(ui);
    const k = Math.min(ui.get("top_k"), experts);
    const before = gate(given, experts, ...["favour", "noise", "seed"].map(ui.get));
    const bias = descent(before, tokens, experts, k)(ui.get("balance"));
    const { probabilities, z } = softmaxRows(
      before.map((value, at) => value + bias[at % experts]),
      tokens,
      experts,
    );
    const limit = Math.max(1, Math.floor((ui.get("capacity") * tokens * k) / experts + 1e-9));
    const chosen = topExperts(probabilities, tokens, experts, k);
    const weights = gates(probabilities, chosen, tokens, experts, k, ui.get("renormalise"));
    return {
      tokens,
      experts,
      k,
      limit,
      chosen,
      z,
      ...judged({ probabilities, chosen, weights, tokens, experts, k, limit }),
    };
  };
}

function judged({ probabilities, chosen, weights, tokens, experts, k, limit }) {
  const { kept, load } = dispatch(chosen, tokens, k, experts, limit);
  const means = meanProbabilities(probabilities, tokens, experts);
  const importance = new Float64Array(experts);
  chosen.forEach((e, at) => (importance[e] += weights[at]));
  const dropped = load.reduce((sum, count) => sum + Math.max(0, count - limit), 0);
  return {
    kept,
    load,
    means,
    importance,
    dropped,
    auxiliary: auxiliaryLoss(load, means, tokens),
    even: evenness(load),
  };
}

function graphOf(ui, { tokens, experts, k, limit, chosen, kept, load }) {
  const clusters = ui.get("clusters");
  const groups = clusters.length ? [...new Set(clusters)].sort((a, b) => a - b) : [0];
  const group = (t) => (clusters.length ? groups.indexOf(clusters[t]) : 0);
  const [sizes, over] = [new Uint32Array(groups.length * experts), new Uint32Array(groups.length * experts)];
  for (let at = 0; at < tokens * k; at++) {
    const cell = group(Math.floor(at / k)) * experts + chosen[at];
    sizes[cell] += 1;
    if (!kept[at]) over[cell] += 1;
  }
  const links = Array.from(sizes, (size, cell) => ({
    from: Math.floor(cell / experts),
    to: cell % experts,
    size,
    over: over[cell],
  }));
  const left = groups.map((name, i) => {
    const size = sizes.subarray(i * experts, (i + 1) * experts).reduce((sum, count) => sum + count, 0);
    return { name: clusters.length ? `cluster ${name}` : "tokens", size, colour: i };
  });
  const right = Array.from(load, (size, e) => ({
    name: `expert ${e}`,
    size,
    limit,
    note: size > limit ? `${size - limit} dropped` : "",
  }));
  return { left, right, links: links.filter(({ size }) => size) };
}

function tilesOf({ dropped, tokens, experts, limit, load, k, auxiliary, even, importance, z }) {
  const empty = load.reduce((sum, count) => sum + Math.max(0, limit - count), 0);
  return [
    [percent(dropped / (tokens * k)), `${dropped} of ${tokens * k} choices find no place`],
    [percent(empty / (experts * limit)), `${empty} of ${experts * limit} places`],
    [auxiliary.toFixed(2), `${k} where all experts are asked alike`],
    [even.toFixed(3), "entropy of the load / log E; even: 1"],
    [squaredVariation(importance).toFixed(3), "of the gates' sums; even: 0"],
    [z.toFixed(2), "mean of (log Σ eˣ)²"],
  ];
}

function sentence({ experts, k, limit, load, means, dropped, tokens }, chosen) {
  if (chosen >= 0 && chosen < experts) {
    const over = Math.max(0, load[chosen] - limit);
    const fate = over ? `${over} are dropped` : `${limit - load[chosen]} places stay empty`;
    return `Expert ${chosen}: ${load[chosen]} tokens ask for ${limit} places, ${fate}; its mean probability is ${means[chosen].toFixed(3)}.`;
  }
  const busiest = load.indexOf(Math.max(...load));
  const idle = load.filter((count) => !count).length;
  const unused = idle ? ` ${idle} of ${experts} experts get nothing.` : "";
  return `${tokens} tokens ask ${k} of ${experts} experts each; expert ${busiest} gets ${percent(load[busiest] / (tokens * k))} of the load, and ${dropped} choices are dropped.${unused}`;
}

function rowsOf({ experts, load, limit, means, importance }) {
  const rows = Array.from({ length: experts }, (_, e) => [
    ...[`expert ${e}`, String(load[e]), String(limit), String(Math.max(0, load[e] - limit))],
    ...[means[e].toFixed(3), importance[e].toFixed(2)],
  ]);
  return { columns: ["", "ask", "places", "dropped", "mean probability", "importance"], rows };
}
