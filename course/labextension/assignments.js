// The assignments of the courses that were joined: what is due, what was handed in, marks and feedback.
import { button, h } from "./element.js";
import { forInstructors, pageButtons } from "./staff.js";

const WAIT_MS = 3000; // between two looks for a mark
const WORDS = {
  "not handed in": "Not handed in",
  waiting: "Handed in, the mark is on its way",
  replaced: "Replaced by a newer attempt",
  graded: "Graded",
  "not graded": "Handed in, could not be graded: your instructor knows",
  "handed in": "Handed in, marks come later",
};

export function assignmentsView(desk) {
  const said = h("div", { role: "status" });
  const list = h("div", {});
  const element = h("div", { class: "studium-assignments" }, said, list);
  // By "course name": what is shown while the list is drawn anew.
  const kept = { answers: new Map(), opened: new Set(), drafts: new Map() };
  let [timer, path] = [0, null];
  const load = async () => {
    clearTimeout(timer);
    const found = await desk.tried(desk.api.get("classroom"));
    if (!found) return;
    desk.classroom = found;
    desk.tell("classroom");
    draw();
    const waits = found.overview.assignments.some((one) => one.state === "waiting");
    if (waits && !desk.end.signal.aborted) timer = setTimeout(load, WAIT_MS);
  };
  const draw = () => {
    const { courses, assignments, problems } = desk.classroom.overview;
    const groups = courses.map(({ course, title }) => {
      const own = assignments.filter((one) => one.course === course);
      const none = own.length ? "" : h("p", { class: "studium-note" }, "Nothing has been handed out yet.");
      return h(
        "section",
        {},
        h("h3", {}, title),
        none,
        own.map((one) => card(desk, one, kept, load)),
      );
    });
    list.replaceChildren(
      ...groups,
      ...problems.map((problem) => h("p", { class: "studium-note", role: "alert" }, problem)),
    );
  };
  desk.on("place", () => {
    if (desk.path === path || !desk.classroom?.connected) return;
    path = desk.path;
    draw();
  });
  load();
  return { element, shown: load };
}

function card(desk, view, kept, load) {
  const key = `${view.course} ${view.name}`;
  const folder = desk.classroom.folders[key];
  const last = view.attempts.at(-1);
  const marked = view.attempts.findLast((one) => one.score !== null);
  const overdue = view.due && !last && new Date(view.due) < new Date();
  const kind = marked ? "studium-graded" : overdue ? "studium-overdue" : "";
  const answer = h("div", { class: "studium-extra", role: "status" }, kept.answers.get(key) ?? "");
  const show = (...nodes) => {
    kept.answers.set(key, nodes);
    answer.replaceChildren(...nodes);
  };
  return h(
    "article",
    { class: `studium-assignment ${kind}`.trim(), "aria-label": view.name },
    h("h4", {}, view.name),
    h("p", { class: "studium-note" }, dates(view)),
    marked
      ? h(
          "p",
          {},
          h("span", { class: "studium-score" }, points(marked.score)),
          ` of ${points(marked.max_score)}${penalty(marked)}`,
        )
      : "",
    h("p", { class: "studium-note" }, state(view, last)),
    last?.sentence ? h("p", { class: "studium-note" }, last.sentence) : "",
    tools(desk, view, folder, show, load),
    answer,
    forInstructors(desk, view, kept, key, show),
    view.attempts.length ? attempts(desk, view, kept, key, load) : "",
  );
}

function tools(desk, view, folder, show, load) {
  const label = (text) => ({ label: `${text}: ${view.name}` });
  const pages = pageButtons(desk, view, show);
  if (!folder)
    return h(
      "div",
      { class: "studium-tools" },
      button("Fetch", () => fetchIt(desk, view, load), { ...label("Fetch"), kind: "studium-primary" }),
      pages,
    );
  const here = desk.path?.startsWith(`${folder}/`);
  const open = view.notebooks.map((book) =>
    button(
      view.notebooks.length > 1 ? `Open ${book}` : "Open",
      () => desk.open({ path: `${folder}/${book}.ipynb` }),
      label(`Open ${book}`),
    ),
  );
  const check =
    here && view.checks_left
      ? button("Check on the server", () => checkIt(desk, show), label("Check on the server"))
      : "";
  const submit = view.open
    ? button("Submit", () => submitIt(desk, view, folder, show, load), { ...label("Submit"), kind: "studium-primary" })
    : "";
  return h("div", { class: "studium-tools" }, open, check, submit, pages);
}

async function fetchIt(desk, { course, name }, load) {
  const done = await desk.tried(desk.api.post("classroom/fetch", { course, assignment: name }));
  if (!done) return;
  await load();
  const first = done.written.find((path) => path.endsWith(".ipynb"));
  if (first) desk.open({ path: `${done.folder}/${first}` });
}

async function submitIt(desk, view, folder, show, load) {
  for (const book of view.notebooks) await desk.save(`${folder}/${book}.ipynb`); // what is on the screen is handed in
  show(h("p", { class: "studium-note" }, "Handing in …"));
  const receipt = await desk.tried(desk.api.post("classroom/submit", { folder }));
  if (!receipt) return show();
  show(
    h("p", {}, `Attempt ${receipt.attempt} was received ${moment(receipt.received)}${receipt.late ? ", late" : ""}.`),
  );
  await load();
}

async function checkIt(desk, show) {
  const widget = desk.tracker.currentWidget;
  const exercise = desk.tracker.activeCell?.model?.getMetadata?.("studium")?.exercise ?? "";
  show(h("p", { class: "studium-note" }, "The course server checks it …"));
  const body = { path: desk.path, notebook: widget.context.model.toJSON(), exercise };
  const answer = await desk.tried(desk.api.post("classroom/check", body));
  if (!answer) return show();
  const left = `${answer.checks_left} checks left this hour.`;
  show(
    ...answer.exercises.map(checked),
    answer.problem ? h("p", { class: "studium-note" }, answer.problem) : "",
    h("p", { class: "studium-note" }, left),
  );
}

function checked(one) {
  const sign = { right: "✓ Right", wrong: "✗ Not right yet", "not attempted": "○ Not attempted" }[one.outcome];
  const hidden = one.hidden_total ? ` · ${one.hidden_passed} of ${one.hidden_total} hidden tests pass` : "";
  const failed = one.tests.find((test) => !test.passed);
  return h(
    "div",
    { class: `studium-exercise studium-${one.outcome}` },
    h("p", {}, h("code", {}, one.exercise), ` ${sign}${hidden}`),
    one.mistake
      ? h("p", { class: "studium-mistake" }, one.mistake)
      : failed && one.outcome === "wrong"
        ? h("p", { class: "studium-note" }, `${failed.name}: ${failed.message}`)
        : "",
  );
}

function attempts(desk, view, { opened, drafts }, key, load) {
  const newest = view.attempts.at(-1);
  const line = (attempt) => {
    const { receipt, state: name, score, max_score: most, feedback, regrade } = attempt;
    const page = (book) =>
      desk.api.page(
        `studium/api/classroom/feedback/${[view.course, view.name, receipt.attempt, book].map(encodeURIComponent).join("/")}`,
      );
    const links = feedback.map((book) =>
      h("a", { href: page(book), target: "_blank", rel: "noopener noreferrer" }, `Feedback on ${book}`),
    );
    return h(
      "li",
      {},
      h("p", {}, `Attempt ${receipt.attempt}: ${score === null ? WORDS[name] : `${points(score)} of ${points(most)}`}`),
      links.map((link) => h("p", {}, link)),
      regrade ? asked(regrade) : attempt === newest && score !== null ? request(desk, view, drafts, key, load) : "",
      h(
        "dl",
        {},
        h("dt", {}, "received"),
        h("dd", {}, moment(receipt.received)),
        h("dt", {}, "sha256"),
        h("dd", {}, h("code", {}, receipt.sha256.slice(0, 16))),
      ),
    );
  };
  const count = view.attempts.length;
  const remember = (event) => (event.target.open ? opened.add(key) : opened.delete(key));
  return h(
    "details",
    { open: opened.has(key), ontoggle: remember },
    h("summary", {}, `${count} attempt${count === 1 ? "" : "s"}, with receipts and feedback`),
    h("ul", { class: "studium-exercises" }, [...view.attempts].reverse().map(line)),
  );
}

/** A request for a regrade and its reply. */
function asked({ text, reply, replied }) {
  return h(
    "div",
    { class: "studium-regrade" },
    h("p", { class: "studium-note" }, "You asked for a regrade: ", h("q", {}, text)),
    h("p", {}, replied ? `Reply, ${moment(replied)}: ${reply}` : "There is no reply yet."),
  );
}

/** Where a student asks for a regrade of the newest attempt; what is not sent yet is kept while the list is drawn anew. */
function request(desk, view, drafts, key, load) {
  const { attempt } = view.attempts.at(-1).receipt;
  const text = h("textarea", { rows: 4, maxlength: 2000, oninput: () => drafts.set(key, text.value) });
  text.value = drafts.get(key) ?? "";
  const send = async () => {
    const body = { course: view.course, assignment: view.name, attempt, text: text.value };
    if (!(await desk.tried(desk.api.post("classroom/regrade", body)))) return;
    drafts.delete(key);
    await load();
  };
  return h(
    "details",
    { class: "studium-regrade", open: drafts.has(key) },
    h("summary", {}, "Ask for a regrade"),
    h("label", {}, "Which exercise should be marked again, and why? You can ask once for each attempt.", text),
    button("Send the request", send, { label: `Send the request: ${view.name}` }),
  );
}

const points = (number) => String(Math.round(number * 100) / 100);
const penalty = (attempt) => (attempt.penalty ? `, ${points(attempt.penalty)} taken off for lateness` : "");
// The zone is named: the notebook says the same time in the course's.
const day = { year: "numeric", month: "short", day: "numeric" };
const clock = { hour: "numeric", minute: "2-digit", timeZoneName: "short" };
const moment = (text) => new Date(text).toLocaleString(undefined, { ...day, ...clock });

function dates(view) {
  const due = view.due ? `Due ${moment(view.due)}${view.extended ? ", your own extension" : ""}` : "No due date";
  return view.open ? due : `${due} · closed`;
}

function state(view, last) {
  if (!last) return WORDS["not handed in"];
  return `${WORDS[view.state]} · attempt ${last.receipt.attempt}${last.receipt.late ? ", late" : ""}`;
}
