// One of each control, for the tests.
import { bars } from "studium_widgets/controls/bars.js";
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { heatMap } from "studium_widgets/controls/heat_map.js";
import { colourBar } from "studium_widgets/controls/legend.js";
import { lineChart } from "studium_widgets/controls/line_chart.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(
    slider(ui, "steps", { label: "Steps", min: 1, max: 200 }),
    slider(ui, "rate", { label: "Rate", values: [0.001, 0.01, 0.1, 1] }),
    stepper(ui, "layer", { label: "Layer", max: 3 }),
    select(ui, "kind", { label: "Kind", options: ["sine", ["cosine", "Cosine"]] }),
    choice(ui, "kind", {
      label: "Curve",
      options: [
        ["sine", "Sine"],
        ["cosine", "Cosine"],
      ],
    }),
    toggle(ui, "signed", { label: "Signed values" }),
  );
  const chart = lineChart(ui, { label: "Two waves", x: { label: "step" }, y: { label: "height", range: [-1, 1] } });
  const map = heatMap(ui, { label: "Matrix", moved: () => ui.redraw(), picked: ([row]) => ui.set("layer", row % 4) });
  const key = colourBar(ui, { label: "value" });
  const odds = bars(ui, { label: "Odds" });
  const table = dataTable(ui, { caption: "The matrix" });
  ui.add(chart.element, map.element, key.element, odds.element, table.element);
  return () => {
    const x = Array.from({ length: ui.get("steps") }, (_, i) => i);
    const wave = ui.get("kind") === "sine" ? Math.sin : Math.cos;
    const y = (speed) => x.map((i) => wave(i * speed));
    chart.draw({
      x,
      series: [
        { name: "slow", y: y(0.05) },
        { name: "fast", y: y(0.11) },
      ],
      marks: [{ x: 20, label: "here" }],
    });
    const { data, shape } = ui.array("matrix");
    const names = Array.from({ length: shape[0] }, (_, i) => `row ${i}`);
    const palette = ui.get("signed") ? "diverging" : "sequential";
    const picture = { data, rows: shape[0], columns: shape[1], range: ui.get("signed") ? [-1, 1] : [0, 1], palette };
    map.draw({ ...picture, rowNames: names, columnNames: names, marked: ui.get("layer") });
    key.draw({ from: String(picture.range[0]), to: "1", palette });
    odds.draw([
      { name: "this", value: 0.8 },
      { name: "these", value: 0.2, accent: true },
    ]);
    table.draw(() => ({ columns: ["", "0"], rows: [["row 0", data[0].toFixed(2)]] }));
    const at = map.cursor.cell;
    ui.say(
      at ? `Row ${at[0]}, column ${at[1]}: ${data[at[0] * shape[1] + at[1]].toFixed(2)}.` : `${ui.get("steps")} steps.`,
    );
  };
});
