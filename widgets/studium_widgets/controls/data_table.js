import { h, suppress } from "./element.js";

/** "Show as table": the same numbers as text. `draw(content)` calls content() → {columns, rows} only while open. */
export function dataTable(ui, { caption }) {
  const table = h("table");
  const opener = h("summary", { ...suppress }, "Show as table");
  const box = h("div", { class: "st-scroll", tabindex: 0, role: "region", "aria-label": caption, ...suppress }, table);
  const element = h("details", { class: "st-table" }, opener, box);
  let content = () => ({ columns: [], rows: [] });
  const fill = () => {
    if (!element.open) return;
    const { columns, rows } = content();
    const head = h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)));
    const body = rows.map(([first, ...rest]) =>
      h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((value) => h("td", {}, value))),
    );
    table.replaceChildren(h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, ...body));
  };
  element.addEventListener("toggle", fill, { signal: ui.signal });
  const draw = (latest) => {
    content = latest;
    fill();
  };
  return { element, draw };
}
