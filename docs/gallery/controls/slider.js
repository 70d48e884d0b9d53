import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  const rates = [0.001, 0.003, 0.01, 0.03, 0.1];
  ui.controls(
    slider(ui, "number", { label: "Steps", min: 1, max: 12 }),
    slider(ui, "value", { label: "Rate", values: rates, format: (rate) => `1 / ${Math.round(1 / rate)}` }),
  );
  return () => ui.say(`${ui.get("number")} steps at a rate of ${ui.get("value")}.`);
});
