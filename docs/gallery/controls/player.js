import { player } from "studium_widgets/controls/player.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  const play = player(ui, "number", { label: "t", ends: () => [100, 0], format: (t) => `t = ${t}` });
  ui.controls(play.element);
  return () => {
    play.draw();
    ui.say(`${ui.get("number")} steps are left.`);
  };
});
