// A kernel that was started anew knows no lesson: before an exercise, a check or an experiment it runs what that needs.

const NEEDY = ["exercise", "check", "experiment"];
const NOT_RUN = ["check", "test", "experiment"]; // for another cell

/** Has the kernel of a lesson catch up with the notebook before a cell runs that needs what is above it. */
export function catchUp(desk) {
  desk.NotebookActions.executionScheduled.connect((_, { notebook, cell }) => {
    const panel = desk.tracker.find(({ content }) => content === notebook);
    const kernel = panel?.sessionContext.session?.kernel;
    if (!kernel || !panel.model?.getMetadata("studium")?.topic || !NEEDY.includes(roleOf(cell))) return;
    const future = kernel.requestExecute({
      code: request(notebook, cell),
      silent: true,
      store_history: false,
      stop_on_error: false,
    });
    future.onIOPub = ({ header, content }) => {
      if (header.msg_type === "display_data") cell.model.outputs.add({ output_type: "display_data", ...content });
    };
  });
}

const roleOf = (cell) => cell.model.getMetadata("studium")?.role;

// In an expression, so that no name is left in the kernel; where there is no Studium, nothing happens.
function request({ widgets }, cell) {
  const above = widgets.slice(0, widgets.indexOf(cell));
  const cells = [...above.filter((one) => one.model.type === "code" && !NOT_RUN.includes(roleOf(one))), cell];
  const sources = cells.map((one) => [roleOf(one) ?? "", one.model.sharedModel.getSource()]);
  return `__import__("studium.notebooks.new_kernel", fromlist=["catch_up"]).catch_up(get_ipython(), ${JSON.stringify(JSON.stringify(sources))})`;
}
