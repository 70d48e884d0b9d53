// The states of an exercise: a mark, a word, and a colour in desk.css, so that none stands alone.

export const STATES = {
  untouched: { mark: "○", word: "Not begun" },
  wrong: { mark: "✗", word: "Not right yet" },
  right: { mark: "✓", word: "Right" },
  revealed: { mark: "◐", word: "Solution seen" },
  checking: { mark: "…", word: "Checking" },
};

/** The sign of each state of a lesson, and its word. */
export const SIGNS = { new: "○", begun: "◔", done: "●" };
export const WORDS = { new: "not begun", begun: "begun", done: "done" };

/** Whether an exercise of the notebook at `path` is being checked, by itself or with all others. */
export const isChecked = (desk, path, { id }) => desk.isUnderWay(path, id) || desk.isUnderWay(path);

/** The state to show of an exercise in the notebook at `path`: "checking" from the click until the result is there. */
export function stateOf(desk, path, exercise) {
  return isChecked(desk, path, exercise) ? "checking" : exercise.status;
}
