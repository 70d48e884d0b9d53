import { particleField } from "studium_widgets/controls/particle_field.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

const SIDE = 60;

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Particles", min: 1, max: 60 }));
  let probe = [0.5, 0.5];
  const field = particleField(ui, {
    label: "A ring",
    moved: (x, y) => {
      probe = [x, y];
      ui.redraw();
    },
  });
  ui.add(field.element);
  return () => {
    const at = (i) => ((i + 0.5) / SIDE) * 4 - 2;
    const height = (x, y) => Math.exp(-8 * (Math.hypot(x, y) - 1.2) ** 2);
    const values = Float64Array.from({ length: SIDE * SIDE }, (_, i) =>
      height(at(i % SIDE), -at(Math.floor(i / SIDE))),
    );
    const angles = Array.from({ length: ui.get("number") }, (_, i) => 2.4 * i);
    const points = Float64Array.from(angles.flatMap((a) => [1.2 * Math.cos(a), 1.2 * Math.sin(a)]));
    const content = {
      title: "Density",
      note: `at (${probe})`,
      size: 260,
      half: 2,
      ground: { values, side: SIDE },
      arrows: [],
      points,
      trails: [],
      probe,
    };
    field.draw({ ...content, pointers: [{ dx: -30 * probe[0], dy: 30 * probe[1], colour: ui.theme.warm, dash: [] }] });
    ui.say(`The density at (${probe}) is ${height(...probe).toFixed(2)}.`);
  };
});
