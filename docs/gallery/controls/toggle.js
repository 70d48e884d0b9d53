import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(toggle(ui, "on", { label: "Causal mask" }));
  return () => ui.say(ui.get("on") ? "Each token sees what came before it." : "Each token sees all others.");
});
