import { fit } from "studium_widgets/controls/canvas.js";
import { h } from "studium_widgets/controls/element.js";
import { marker } from "studium_widgets/controls/markers.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Radius", min: 2, max: 12 }));
  const picture = h("canvas", { role: "img", "aria-label": "Six marks" });
  ui.add(picture);
  return () => {
    const context = fit(picture, 280, 40);
    for (let i = 0; i < 6; i++) marker(context, i, 20 + 46 * i, 20, ui.get("number"), ui.theme);
    ui.say(`Six marks, ${ui.get("number")} px large: a shape for each colour.`);
  };
});
