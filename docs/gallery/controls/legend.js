import { colourBar, legend } from "studium_widgets/controls/legend.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Series", min: 1, max: 6 }));
  const [key, bar] = [legend(ui), colourBar(ui, { label: "weight" })];
  ui.add(key.element, bar.element);
  return () => {
    key.draw(["linear", "cosine", "sigmoid", "yours", "bound", "floor"].slice(0, ui.get("number")));
    bar.draw({ from: "0", to: "0.5" });
    ui.say(`${ui.get("number")} series, each with a colour and a dash of its own.`);
  };
});
