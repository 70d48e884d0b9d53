// The verdict of a check, as the output of the exercise's check cell: there, and nowhere else, is it told in full.

/** The MIME type of a verdict. */
export const VERDICT = "application/vnd.studium.verdict+json";

/** Puts the verdicts of a check in the place of older ones, where its notebook is open. The ids of those that are shown. */
export function showVerdicts(desk, { path, slug, exercise: asked, results }) {
  const cells = desk.tracker.find((widget) => widget.context.path === path)?.content.widgets ?? [];
  const exercises = desk.lessons.find((topic) => topic.slug === slug)?.exercises ?? [];
  const shown = results.filter(({ id, outcome, output }) => {
    const place = exercises.find((exercise) => exercise.id === id)?.check_cell;
    const cell = cells.find(({ model }) => model.id === place);
    const outputs = cell?.model.outputs;
    if (!outputs) return false;
    outputs.clear();
    outputs.trusted = true; // as what the cell shows once it has run; in a lesson that is only opened colours would be lost
    if (outcome !== "not attempted" || asked) outputs.add({ output_type: "display_data", data: output, metadata: {} });
    if (asked) requestAnimationFrame(() => cell.node.scrollIntoView({ block: "nearest" }));
    return true;
  });
  return shown.map(({ id }) => id);
}
