import { scatter } from "studium_widgets/controls/scatter.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

const NAMES = ["DDPM", "LDM", "DiT", "EDM", "SiT"];

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Models", min: 1, max: 5 }));
  const plane = scatter(ui, { label: "Models", height: 240, moved: ui.redraw });
  ui.add(plane.element);
  return () => {
    const points = NAMES.slice(0, ui.get("number")).map((name, i) => ({
      name,
      x: i + 1,
      y: 12 / (i + 2),
      kind: i % 2,
      radius: 6,
    }));
    plane.draw({ points, x: { label: "compute", range: [0, 6] }, y: { label: "FID", range: [0, 8] } });
    const chosen = points[plane.cursor.cell?.[1] ?? 0];
    ui.say(`${chosen.name} has an FID of ${chosen.y.toFixed(1)}.`);
  };
});
