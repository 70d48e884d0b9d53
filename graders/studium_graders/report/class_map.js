// Students down, tests across: one look shows who stopped where, and which test does not follow the others.
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { heatMap } from "studium_widgets/controls/heat_map.js";
import { memo } from "studium_widgets/controls/memo.js";
import { widget } from "studium_widgets/controls/widget.js";

const SIZE = 720; // px

export default widget((ui) => {
  ui.controls(
    choice(ui, "order", {
      label: "Order",
      options: [
        ["marks", "By marks"],
        ["given", "As given"],
      ],
    }),
  );
  ui.invite("order the students by marks: a column that breaks the pattern is a test to look at.");
  const map = heatMap(ui, {
    label: "Students down, tests across; arrow keys move",
    size: SIZE,
    square: false,
    moved: () => ui.redraw(),
  });
  const table = dataTable(ui, { caption: "The share of its points that each student earned in each test" });
  ui.add(map.element, table.element);
  const arranged = memo((array, students, tests, order) => arrange(array, students, tests, order));
  return () => {
    const view = arranged(ui.array("earned"), ui.get("students"), ui.get("tests"), ui.get("order"));
    map.draw({ ...view, range: [0, 1], rowNames: view.students, columnNames: view.tests });
    table.draw(() => rowsOf(view));
    ui.say(sentence(view, map.cursor.cell));
  };
});

const share = (value) => (Number.isNaN(value) ? "no answer" : `${Math.round(100 * value)} %`);

function means(data, rows, columns, along) {
  const count = along === "rows" ? rows : columns;
  const other = along === "rows" ? columns : rows;
  const at = (i, j) => data[along === "rows" ? i * columns + j : j * columns + i];
  return Array.from({ length: count }, (_, i) => {
    let [sum, known] = [0, 0];
    for (let j = 0; j < other; j++) if (!Number.isNaN(at(i, j))) [sum, known] = [sum + at(i, j), known + 1];
    return known ? sum / known : -1;
  });
}

function arrange({ data, shape: [rows, columns] }, students, tests, order) {
  const sorted = (values) =>
    values.map((_, i) => i).sort((a, b) => (order === "marks" ? values[b] - values[a] : 0) || a - b);
  const down = sorted(means(data, rows, columns, "rows"));
  const across = sorted(means(data, rows, columns, "columns"));
  const moved = new Float32Array(data.length);
  down.forEach((row, i) => across.forEach((column, j) => (moved[i * columns + j] = data[row * columns + column])));
  return { data: moved, rows, columns, students: down.map((i) => students[i]), tests: across.map((i) => tests[i]) };
}

function sentence({ data, columns, students, tests }, cell) {
  if (cell) return `${students[cell[0]]}, ${tests[cell[1]]}: ${share(data[cell[0] * columns + cell[1]])}.`;
  const known = data.filter((value) => !Number.isNaN(value));
  const mean = known.reduce((sum, value) => sum + value, 0) / (known.length || 1);
  return `${students.length} students in ${tests.length} tests earned ${share(mean)} of the marks. Striped: no answer.`;
}

function rowsOf({ data, columns, students, tests }) {
  const row = (name, i) => [name, ...tests.map((_, j) => share(data[i * columns + j]))];
  return { columns: ["student", ...tests], rows: students.map(row) };
}
