import { h, suppress } from "studium_widgets/controls/element.js";
import { tooltip } from "studium_widgets/controls/tooltip.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  const spot = h("button", { type: "button", class: "st-button", ...suppress }, "Point here");
  const host = h("div", { style: "position: relative; padding: 40px 0 0" }, spot);
  const box = tooltip(host);
  const show = () => {
    box.show(40, 50, ["expert 3", "12 tokens"]);
    ui.say("Expert 3 has 12 tokens.");
  };
  for (const event of ["pointerenter", "focus"]) spot.addEventListener(event, show, { signal: ui.signal });
  for (const event of ["pointerleave", "blur"]) spot.addEventListener(event, box.hide, { signal: ui.signal });
  ui.add(host);
  return () => ui.say("What a tooltip says, the sentence says too.");
});
