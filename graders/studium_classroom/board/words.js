// How states, needs and changes are called, and the signs that carry them beside their colours.

export const STATES = {
  untouched: { sign: "·", words: "untouched" },
  trying: { sign: "~", words: "trying" },
  stuck: { sign: "!", words: "stuck" },
  right: { sign: "✓", words: "right" },
};

export const NEEDS = {
  stuck: ["stuck", "the same mistake three times"],
  "not graded": ["not graded", "grading failed three times; the row shows why"],
  "to mark": ["to mark", "the gradebook is waiting for a mark by hand"],
  regrade: ["ask for a regrade", "reply to them on the page that studium classroom mark opens"],
  "would change": ["marks would change", "the gradebook has marks that differ from what the student sees: grade again"],
  waiting: ["waiting", "handed in, not graded yet"],
  late: ["late", "the newest attempt came after the due date"],
};

const SHOWN = 3; // changes that are named one by one

export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
/** A sentence without the marks of code, where it can be nothing but text. */
export const plain = (text) => text.replaceAll("`", "");
export const points = (number) => String(Math.round(100 * number) / 100);

/** The state of a student in an exercise, "untouched" where nothing was found. */
export const standingOf = (row, exercise) =>
  row.exercises.find((one) => one.exercise === exercise) ?? { exercise, state: "untouched", checks: 0, mistake: "" };

/** A moment in the reader's own time: the time alone today, with the day before. */
export function moment(text) {
  const [when, now] = [new Date(text), new Date()];
  const time = when.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return when.toDateString() === now.toDateString()
    ? time
    : `${when.toLocaleDateString(undefined, { day: "numeric", month: "short" })}, ${time}`;
}

/** What became another state from one status to the next: [{student, exercise, state}]. */
export function changes(before, after) {
  const known = new Map(before.students.map((row) => [row.student, row]));
  return after.students.flatMap((row) => {
    const old = known.get(row.student);
    return row.exercises
      .filter((one) => one.state !== (old ? standingOf(old, one.exercise).state : "untouched"))
      .map(({ exercise, state }) => ({ student: row.student, exercise, state }));
  });
}

/** One sentence on the class, and on what has just changed. */
export function sentence(status, changed) {
  const named = changed
    .slice(0, SHOWN)
    .map(({ student, exercise, state }) => `${student}, ${exercise}: ${STATES[state].words}`);
  const more = changed.length > SHOWN ? `, and ${changed.length - SHOWN} more` : "";
  const all = Object.entries(status.queue).map(([need, number]) => `${number} ${NEEDS[need][0]}`);
  const whole = `${count(status.students.length, "student")}${all.length ? `: ${all.join(", ")}` : ", and nothing needs you now"}.`;
  return named.length ? `${named.join("; ")}${more}. ${whole}` : whole;
}
