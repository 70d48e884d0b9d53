import { bars } from "studium_widgets/controls/bars.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Words hidden", min: 0, max: 10 }));
  ui.invite("hide more words: fewer are left to read.");
  demonstrate(ui, "number", () => Array.from({ length: ui.get("number") + 1 }, (_, i) => i));
  const counts = bars(ui, { label: "Words", max: 10, format: String });
  ui.add(counts.element);
  return () => {
    const hidden = ui.get("number");
    counts.draw([
      { name: "hidden", value: hidden },
      { name: "read", value: 10 - hidden, kind: "context" },
    ]);
    ui.say(`${hidden} of 10 words are hidden.`);
  };
});
