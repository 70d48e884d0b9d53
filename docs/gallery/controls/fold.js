import { facts } from "studium_widgets/controls/facts.js";
import { fold } from "studium_widgets/controls/fold.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Rank", min: 1, max: 12 }));
  const tiles = facts(["Memory", "Work"]);
  ui.add(fold(ui, "What it costs", [tiles.element]));
  return () => {
    const count = 128 * ui.get("number");
    tiles.draw([
      [`${2 * count} B`, "in bf16"],
      [`${2 * count} FLOPs`, "a token"],
    ]);
    ui.say(`Rank ${ui.get("number")} takes ${count} numbers.`);
  };
});
