import { stepper } from "studium_widgets/controls/stepper.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(stepper(ui, "number", { label: "Layer", max: 11 }));
  return () => ui.say(`Layer ${ui.get("number")} of 12.`);
});
