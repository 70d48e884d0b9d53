// What the Assignments tab has for the staff of a course: the board, the marking page, and what only instructors do.
import { button, h } from "./element.js";

const PAGES = { board: "Open the board", mark: "Mark by hand" };

const roleIn = (desk, { course }) => desk.classroom.overview.courses.find((one) => one.course === course)?.role;
const posted = (desk, path, { course, name }, more = {}) =>
  desk.tried(desk.api.post(`classroom/${path}`, { course, assignment: name, ...more }));

/** Buttons that open the pages of an assignment in a new tab; none for students. */
export function pageButtons(desk, view, show) {
  if (["student", undefined].includes(roleIn(desk, view))) return [];
  return Object.entries(PAGES).map(([page, words]) =>
    button(words, () => openPage(desk, view, page, show), { label: `${words}: ${view.name}` }),
  );
}

async function openPage(desk, view, page, show) {
  const tab = window.open("about:blank"); // now: a browser blocks a tab that opens later than the click
  const made = await posted(desk, page, view);
  if (!made) return tab?.close();
  if (!tab) {
    const words = page === "board" ? `Open the board of ${view.name}` : `Mark ${view.name} by hand`;
    const link = h("a", { href: made.link, target: "_blank", rel: "noopener noreferrer" }, words);
    return show(h("p", {}, link, " (your browser blocked the new tab)"));
  }
  tab.opener = null;
  tab.location.replace(made.link);
}

/** Grading again, releasing marks and more time for one student; "" for everybody who is not an instructor. */
export function forInstructors(desk, view, { opened }, key, show) {
  if (!["instructor", "owner"].includes(roleIn(desk, view))) return "";
  const place = `staff ${key}`;
  const remember = (event) => (event.target.open ? opened.add(place) : opened.delete(place));
  return h(
    "details",
    { class: "studium-staff", open: opened.has(place), ontoggle: remember },
    h("summary", {}, "For instructors"),
    h(
      "div",
      { class: "studium-tools" },
      button("Grade again", () => askToGrade(desk, view, show), { label: `Grade again: ${view.name}` }),
      button("Release marks", () => askToRelease(desk, view, show), { label: `Release marks: ${view.name}` }),
    ),
    moreTime(desk, view, show),
  );
}

function askToGrade(desk, view, show) {
  const go = async () => {
    const done = await posted(desk, "grade", view);
    if (done) show(h("p", {}, `${done.waiting} ${done.waiting === 1 ? "submission" : "submissions"} will be graded.`));
  };
  ask(
    "Every student's newest submission is graded again with the tests of now and your marks by hand. The board counts the students whose marks would change.",
    "Grade everybody again",
    go,
    show,
  );
}

function askToRelease(desk, view, show) {
  const go = async () => {
    if (await posted(desk, "release", view)) show(h("p", {}, "Students can see their marks and feedback now."));
  };
  ask(
    "In a course that shows marks when they are released, all students see theirs now. You cannot take this back.",
    "Release the marks to students",
    go,
    show,
  );
}

function ask(question, words, go, show) {
  const cancel = button("Cancel", () => show());
  show(
    h("p", {}, question),
    h("div", { class: "studium-tools" }, button(words, go, { kind: "studium-primary" }), cancel),
  );
}

function moreTime(desk, view, show) {
  const student = h("input", { type: "text", required: true, autocomplete: "off" });
  const until = h("input", { type: "datetime-local", required: true });
  const reason = h("input", { type: "text", autocomplete: "off" });
  const send = async (event) => {
    event.preventDefault();
    const more = { student: student.value.trim(), until: until.value, reason: reason.value };
    const done = await posted(desk, "extend", view, more);
    if (!done) return;
    show(h("p", {}, `${more.student} can hand in until ${more.until.replace("T", " ")}, in the course's time zone.`));
    for (const field of [student, until, reason]) field.value = "";
  };
  return h(
    "form",
    { onsubmit: send, "aria-label": `More time for one student: ${view.name}` },
    h("label", {}, "Student's id", student),
    h("label", {}, "may hand in until (in the course's time zone)", until),
    h("label", {}, "Reason, which is written into course.toml", reason),
    h("button", { type: "submit", class: "studium-button" }, "Give more time"),
  );
}
