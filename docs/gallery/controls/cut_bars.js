import { cutBars } from "studium_widgets/controls/cut_bars.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(toggle(ui, "on", { label: "Log scale" }));
  const bars = cutBars(ui, "number", { label: "Cut behind value" });
  ui.add(bars.element);
  return () => {
    const values = Array.from({ length: 16 }, (_, i) => 0.75 ** i);
    const cut = ui.get("number");
    bars.draw({
      values,
      cut,
      logarithmic: ui.get("on"),
      label: "size",
      words: [`keeps ${cut}`],
      spoken: `${cut} kept`,
    });
    ui.say(`${cut} of 16 values are kept.`);
  };
});
