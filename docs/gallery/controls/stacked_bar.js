import { slider } from "studium_widgets/controls/slider.js";
import { stackedBar } from "studium_widgets/controls/stacked_bar.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Parameters, 10⁹", min: 1, max: 12 }));
  const bar = stackedBar("Memory to train", ["weights", "gradients", "Adam"]);
  ui.add(bar.element);
  return () => {
    const sizes = [2, 2, 8].map((bytes) => bytes * ui.get("number"));
    bar.draw(
      sizes.map((size) => [size, `${size} GB`]),
      144,
      [{ at: 80, text: "80 GB" }],
    );
    ui.say(`Training needs ${12 * ui.get("number")} GB.`);
  };
});
