// Query heads above, shared heads below, and the wires between them; what each head loses by sharing on top of it.
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h } from "studium_widgets/controls/element.js";
import { memo } from "studium_widgets/controls/memo.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { divisors, errors, merged, results, sharedBy } from "./wiring_maths.js";
import { astray, mean, percent, wiring } from "./wiring_picture.js";

const ORDERS = [
  ["grouped", "None: head h looks at h // (H / G)"],
  ["tiled", "Head h looks at h % G, as repeat does"],
];
const WAYS = [
  ["mean", "Mean of the group"],
  ["first", "Its first head"],
];

export default widget((ui) => {
  const { look, ahead } = source(ui);
  let shown = null;
  const [heads] = ui.array("query").shape;
  const whole = { ...ui, get: (name) => (name === "groups" ? ui.get(name) || heads : ui.get(name)) };
  ui.controls(
    slider(whole, "groups", {
      label: "Heads of keys and values, G",
      values: divisors(heads),
      format: (groups) => `${groups} of ${heads}${groups === 1 ? " (MQA)" : groups === heads ? " (MHA)" : ""}`,
    }),
    select(ui, "order", { label: "Put in a mistake", options: ORDERS }),
  );
  ui.more(choice(ui, "merge", { label: "A shared head is", options: WAYS }));
  ui.invite(
    "halve G again and again. The cache shrinks with it, and neighbours that are alike share their keys and values at little cost; those that differ pay for it.",
  );
  demonstrate(ui, "groups", () => [...divisors(heads)].reverse());
  const wires = wiring(ui, () => ui.redraw());
  const table = dataTable(ui, { caption: "Query heads" });
  ui.add(h("div", { class: "st-wiring" }, wires.element), table.element);
  return () => {
    const now = look();
    wires.draw(now);
    table.draw(() => rowsOf(now));
    ui.say(sentence(now, wires.chosen()));
    if (now !== shown || ahead()) ui.redraw();
    shown = now;
  };
});

// Everything that is shown, computed again only where what it needs has changed; `ahead()` computes what another setting will need.
function source(ui) {
  const all = memo((query, keys, values) => everySetting(query, keys.data, values.data, keys.shape[1]));
  const found = memo(({ heads, errorsOf }, groups, order, way) => {
    if (heads % groups) throw new Error(`groups that divide the ${heads} heads are needed, got ${groups}`);
    return { heads, groups, order, way, error: errorsOf(groups, order, way), right: errorsOf(groups, "grouped", way) };
  });
  const settings = () => all(...["query", "key", "value"].map(ui.array));
  const look = () => found(settings(), ui.get("groups") || settings().heads, ui.get("order"), ui.get("merge"));
  return { look, ahead: () => settings().another() };
}

// `errorsOf(groups, order, way)`: of each head; computed once, `another()` does so for one setting more and says whether any was left.
function everySetting(query, keys, values, tokens) {
  const [heads, size] = query.shape;
  const model = { query: query.data, heads, size, tokens };
  const truth = results(model, keys, values, heads, "grouped");
  const left = WAYS.flatMap(([way]) =>
    ORDERS.flatMap(([order]) => divisors(heads).map((groups) => [groups, order, way])),
  );
  const known = {};
  const errorsOf = (groups, order, way) => {
    const shared = (data) => merged(data, heads, groups, way);
    return (known[[groups, order, way]] ??= errors(
      results(model, shared(keys), shared(values), groups, order),
      truth,
      heads,
    ));
  };
  const another = () => {
    const setting = left.shift();
    if (setting) errorsOf(...setting);
    return Boolean(setting);
  };
  return { heads, errorsOf, another };
}

function sentence(now, chosen) {
  const { heads, groups, order, error, right } = now;
  if (chosen >= 0 && chosen < heads) {
    const g = sharedBy(chosen, heads, groups, order);
    const wrong = astray(now, chosen) ? `, but should look at kv${sharedBy(chosen, heads, groups, "grouped")}` : "";
    return `Query head ${chosen} looks at kv${g}${wrong}; its error is ${percent(error[chosen])}.`;
  }
  const count = error.filter((_, head) => astray(now, head)).length;
  const cache = `${heads} query heads share ${groups} heads of keys and values, ${percent(groups / heads)} of the cache`;
  if (order === "tiled" && !count) return `${cache}; both orders are the same here, and the mistake does not show.`;
  if (count)
    return `${cache}; ${count} wires go astray: mean error ${percent(mean(error))} in place of ${percent(mean(right))}.`;
  return `${cache}; mean error ${percent(mean(error))}.`;
}

function rowsOf(now) {
  const rows = now.error.map((value, head) => {
    const [own, right] = [now.order, "grouped"].map((order) => sharedBy(head, now.heads, now.groups, order));
    return [`q${head}`, `kv${own}`, `kv${right}`, percent(value), percent(now.right[head])];
  });
  return { columns: ["query head", "looks at", "should look at", "error", "error if right"], rows };
}
