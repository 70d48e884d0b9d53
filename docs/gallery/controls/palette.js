import { h } from "studium_widgets/controls/element.js";
import { colour, gradient } from "studium_widgets/controls/palette.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "value", { label: "Position", min: 0, max: 1, step: 0.01 }));
  const strips = ["sequential", "diverging"].map((name) => ({
    name,
    strip: h("div", { style: "height: 26px; border-radius: 6px" }),
  }));
  ui.add(...strips.map(({ strip }) => strip));
  return () => {
    for (const { name, strip } of strips) strip.style.background = gradient(name, ui.theme.dark);
    ui.say(`At ${ui.get("value")} the sequential palette has ${colour("sequential", ui.theme.dark, ui.get("value"))}.`);
  };
});
