import { flowGraph } from "studium_widgets/controls/graph.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Room of an expert", min: 1, max: 8 }));
  const flows = flowGraph(ui, { label: "Tokens to experts", height: 220, moved: ui.redraw });
  ui.add(flows.element);
  return () => {
    const room = ui.get("number");
    const links = [
      [0, 0, 5],
      [0, 1, 1],
      [1, 0, 2],
      [1, 1, 4],
    ].map(([from, to, size]) => ({ from, to, size, over: 0 }));
    const right = [7, 5].map((size, i) => ({ name: `expert ${i}`, size, limit: room, note: "" }));
    const left = ["nouns", "verbs"].map((name, colour) => ({ name, size: 6, colour }));
    links[0].over = Math.max(0, 7 - room);
    flows.draw({ left, right, links });
    ui.say(`Expert 0 drops ${links[0].over} of 7 tokens.`);
  };
});
