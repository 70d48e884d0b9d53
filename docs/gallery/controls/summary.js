import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Heads", min: 1, max: 12 }));
  return () => ui.say(`With ${ui.get("number")} heads, each is ${Math.floor(768 / ui.get("number"))} wide.`);
});
