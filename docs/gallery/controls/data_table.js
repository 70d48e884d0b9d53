import { dataTable } from "studium_widgets/controls/data_table.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Rows", min: 1, max: 9 }));
  const table = dataTable(ui, { caption: "Squares" });
  ui.add(table.element);
  return () => {
    const rows = Array.from({ length: ui.get("number") }, (_, i) => [String(i + 1), String((i + 1) ** 2)]);
    table.draw(() => ({ columns: ["n", "n²"], rows }));
    ui.say(`${ui.get("number")} squares.`);
  };
});
