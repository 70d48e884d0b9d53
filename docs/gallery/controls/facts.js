import { facts } from "studium_widgets/controls/facts.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Rank", min: 1, max: 12 }));
  const tiles = facts(["Parameters", "Share"]);
  ui.add(tiles.element);
  return () => {
    const count = 128 * ui.get("number");
    tiles.draw([
      [String(count), "for 64 × 64"],
      [`${((100 * count) / 4096).toFixed(1)} %`, "of all"],
    ]);
    ui.say(`Rank ${ui.get("number")} takes ${count} numbers.`);
  };
});
