import { choice } from "studium_widgets/controls/choice.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(
    choice(ui, "kind", {
      label: "Schedule",
      options: [
        ["sine", "Sine"],
        ["cosine", "Cosine"],
      ],
    }),
  );
  return () => ui.say(`The schedule is a ${ui.get("kind")}.`);
});
