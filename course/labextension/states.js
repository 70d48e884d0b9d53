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

/** The state to show of an exercise in the notebook at `path`: "checking" while a check waits or runs. */
export function stateOf(desk, path, exercise) {
  return desk.jobOf(path, exercise.id) ? "checking" : exercise.status;
}
