// The states of an exercise: a mark, a word, and a colour in desk.css, so that none stands alone. Where nothing is known
// of the text in the cell, its badge says what to do instead: `call`.

export const STATES = {
  untouched: { mark: "○", word: "Not begun", call: "Check" },
  wrong: { mark: "✗", word: "Not right yet" },
  right: { mark: "✓", word: "Right" },
  revealed: { mark: "◐", word: "Solution seen" },
  unchecked: { mark: "✎", word: "Not checked", call: "Check again" }, // its text is not the one that was checked last
  checking: { mark: "…", word: "Checking" },
};

/** The sign of each state of a lesson, and its word. */
export const SIGNS = { new: "○", begun: "◔", done: "●" };
export const WORDS = { new: "not begun", begun: "begun", done: "done" };

/** Whether an exercise of the notebook at `path` is being checked, by itself or with all others. */
export const isChecked = (desk, path, { id }) => desk.isUnderWay(path, id) || desk.isUnderWay(path);

/** Whether the text of a cell has the lines of an answer, with whatever stands around them. */
export const holds = (source, answer) => !answer.trim() || lines(source).includes(lines(answer));

const lines = (text) => `\n${text.trim().replace(/[ \t]+$/gm, "")}\n`;

/** The state to show of an exercise in the notebook at `path`: what is known of the text in its cell. "checking" from the click until the result is there. */
export function stateOf(desk, path, exercise) {
  if (isChecked(desk, path, exercise)) return "checking";
  const source = desk.sourceOf(path, exercise.cell);
  if (source === null || holds(source, exercise.answer)) return exercise.status;
  return desk.isBlank(path, exercise.id, source) ? "untouched" : "unchecked";
}
