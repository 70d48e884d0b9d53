// Commands, in the palette, the launcher and (by schemas/plugin.json) the notebook's toolbar.

export function addCommands(app, desk, show, openCover, { palette, launcher, icon }) {
  const add = (name, label, execute, more = {}) => {
    app.commands.addCommand(`studium:${name}`, { label, execute, ...more });
    palette?.addItem({ command: `studium:${name}`, category: "Studium" });
  };
  const inLesson = () => Boolean(desk.here.topic);
  add("cover", "Studium's cover", openCover, { caption: "All lessons, and where you stand" });
  add("desk", "Studium", show, { caption: "Syllabus, exercises and progress", icon });
  add("check", "Check my work", () => desk.check(desk.here.exercise?.id), {
    caption: "Check the exercise at the cursor, or the whole lesson",
    isVisible: inLesson,
  });
  add("check-all", "Check the whole lesson", () => desk.check(), { isEnabled: inLesson });
  add("resume", "Resume where you left off", () => resume(desk), { icon });
  for (const event of ["syllabus", "place"]) desk.on(event, () => app.commands.notifyCommandChanged("studium:check"));
  launcher?.add({ command: "studium:desk", category: "Studium", rank: 0 });
  launcher?.add({ command: "studium:resume", category: "Studium", rank: 1 });
}

/** Whether there is an opener that is not done, and no exercise of any lesson was begun. */
export function isFresh({ opener, totals }) {
  return Boolean(opener) && opener.status !== "done" && totals.untouched === totals.exercises;
}

/** Opens the opener where nothing was begun, else the lesson that the server says comes next, at its exercise. */
export function resume(desk) {
  if (desk.syllabus && isFresh(desk.syllabus)) return desk.open(desk.syllabus.opener);
  const next = desk.syllabus?.resume;
  const topic = desk.topics.find((one) => one.slug === next?.slug) ?? desk.topics[0];
  return topic ? desk.open(topic, next?.cell) : desk.say("This folder has no lessons yet.");
}
