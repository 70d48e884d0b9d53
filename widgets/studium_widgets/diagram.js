// A labelled diagram: its file's shapes in the page's colours, with its words as a table.
import { dataTable } from "./controls/data_table.js";
import { h, suppress } from "./controls/element.js";
import { widget } from "./controls/widget.js";
import { readDiagram } from "./diagram_markup.js";

const SMALLEST = 0.85; // of its natural size: on a page too narrow for that it scrolls, so that 13 units can still be read

export default widget((ui) => {
  const frame = h("div", { class: "st-diagram", role: "group", "aria-label": "Diagram", ...suppress });
  const table = dataTable(ui, { caption: "The words of the diagram, in the order of its file" });
  ui.add(frame, table.element);
  let [shown, diagram] = [null, null];
  return () => {
    if (shown !== ui.get("svg")) [shown, diagram] = [ui.get("svg"), show(frame, ui.get("svg"))];
    const scrolls = ui.widthOf(frame) < SMALLEST * diagram.width;
    if (scrolls) frame.tabIndex = 0;
    else frame.removeAttribute("tabindex");
    table.draw(() => ({
      columns: ["no.", "text", "drawn as"],
      rows: diagram.texts.map(({ text, drawn }, i) => [String(i + 1), text, drawn]),
    }));
    ui.say(diagram.title || "A diagram without a title.");
  };
});

function show(frame, text) {
  const diagram = readDiagram(text);
  const { element, title, description, width } = diagram;
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `${title}. ${description}`);
  element.style.minWidth = `${SMALLEST * width}px`;
  element.style.maxWidth = `${width}px`;
  frame.replaceChildren(element);
  return diagram;
}
