import { matrices } from "studium_widgets/controls/matrix.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "value", { label: "Share", min: 0, max: 1, step: 0.05 }));
  const pictures = matrices(ui, { titles: ["Whole", "Part", "Rest"], signs: ["=", "+"], size: 180 });
  ui.add(pictures.element);
  return () => {
    const {
      data,
      shape: [rows, columns],
    } = ui.array("matrix");
    const times = (share) => ({
      data: data.map((entry) => entry * share),
      rows,
      columns,
      range: [-1, 1],
      palette: "diverging",
    });
    pictures.draw([1, ui.get("value"), 1 - ui.get("value")].map(times), { from: "−1", to: "1", palette: "diverging" });
    ui.say(`The part is ${ui.get("value")} of the whole.`);
  };
});
