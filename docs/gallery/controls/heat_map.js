import { heatMap } from "studium_widgets/controls/heat_map.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(toggle(ui, "on", { label: "Diverging colours" }));
  const map = heatMap(ui, { label: "A matrix", size: 300, moved: ui.redraw });
  ui.add(map.element);
  return () => {
    const {
      data,
      shape: [rows, columns],
    } = ui.array("matrix");
    map.draw({ data, rows, columns, range: [-1, 1], palette: ui.get("on") ? "diverging" : "sequential" });
    const [row, column] = map.cursor.cell ?? [0, 0];
    ui.say(`Row ${row}, column ${column}: ${data[row * columns + column].toFixed(2)}.`);
  };
});
