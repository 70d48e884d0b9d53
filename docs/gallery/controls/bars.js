import { bars } from "studium_widgets/controls/bars.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "value", { label: "Probability", min: 0, max: 1, step: 0.01 }));
  const odds = bars(ui, { label: "The next token" });
  ui.add(odds.element);
  return () => {
    const p = ui.get("value");
    odds.draw([
      { name: "is", value: p },
      { name: "are", value: 1 - p, kind: "context" },
    ]);
    ui.say(`“is” has ${p.toFixed(2)}, “are” the rest.`);
  };
});
