// The panel: a head that says where one stands, and its tabs.
import { assignmentsView } from "./assignments.js";
import { button, h, minutes } from "./element.js";
import { glossaryView } from "./glossary.js";
import { lessonsView } from "./lessons.js";
import { mapView } from "./map.js";
import { progressView } from "./progress.js";
import { isFresh, resume } from "./commands.js";
import { reviewView } from "./review.js";

const TABS = [
  ["lessons", "Lessons", lessonsView],
  ["assignments", "Assignments", assignmentsView],
  ["map", "Map", mapView],
  ["review", "Review", reviewView],
  ["glossary", "Words", glossaryView],
  ["progress", "Progress", progressView],
];

export function buildPanel(desk) {
  const tabs = TABS.map(([name, title, view]) => ({ name, title, view: view(desk) }));
  const bar = h("div", { class: "studium-tabs", role: "tablist", "aria-label": "Studium" });
  const pages = tabs.map(({ name, view }) =>
    h(
      "div",
      {
        id: `studium-page-${name}`,
        class: "studium-page",
        role: "tabpanel",
        "aria-labelledby": `studium-tab-${name}`,
        tabindex: -1,
      },
      view.element,
    ),
  );
  const choose = (at, focus) => {
    tabs.forEach((tab, i) => {
      tab.head.setAttribute("aria-selected", String(i === at));
      tab.head.tabIndex = i === at ? 0 : -1;
      pages[i].hidden = i !== at;
    });
    if (focus) tabs[at].head.focus();
    if (pages[at].getBoundingClientRect().top < bar.getBoundingClientRect().bottom)
      pages[at].scrollIntoView({ block: "start" });
    tabs[at].view.shown?.();
  };
  tabs.forEach((tab, at) => {
    const attributes = {
      type: "button",
      id: `studium-tab-${tab.name}`,
      role: "tab",
      "aria-controls": `studium-page-${tab.name}`,
    };
    tab.head = h("button", { ...attributes, onclick: () => choose(at) }, tab.title);
    bar.append(tab.head);
  });
  bar.addEventListener("keydown", (event) => {
    const there = tabs.filter((tab) => !tab.head.hidden);
    const at = there.findIndex((tab) => tab.head === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: there.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(tabs.indexOf(there[(to + there.length) % there.length]), true);
  });
  const assignments = tabs.find((tab) => tab.name === "assignments");
  assignments.head.hidden = true; // until a course was joined
  desk.on("classroom", () => (assignments.head.hidden = !desk.classroom.connected));
  desk.on("shared", () => choose(tabs.findIndex((tab) => tab.name === "progress")));
  choose(0);
  return h("div", { class: "studium-panel", role: "region", "aria-label": "Studium" }, head(desk), bar, ...pages);
}

// Where its button leads, in words.
function whereTo({ syllabus, topics }) {
  if (isFresh(syllabus)) return syllabus.opener.title;
  const next = syllabus.resume;
  if (!next) return "Everything is done";
  const { title } = topics.find(({ slug }) => slug === next.slug) ?? {};
  return next.exercise ? `${title}, exercise ${next.exercise}` : title;
}

function head(desk) {
  const bar = h("progress", { class: "studium-bar", max: 1, value: 0, "aria-label": "Exercises that are right" });
  const line = h("p", { class: "studium-line", role: "status" }, "Reading the lessons …");
  const go = button("Resume", () => resume(desk), { kind: "studium-primary", disabled: true });
  const problems = h("div", { class: "studium-problems" });
  desk.on("syllabus", () => {
    const { totals, due, resume: next, problems: found } = desk.syllabus;
    Object.assign(bar, { max: Math.max(1, totals.exercises), value: totals.right });
    go.textContent = desk.topics.some(({ status }) => status !== "new") ? "Resume" : "Begin";
    const fresh = isFresh(desk.syllabus);
    const parts = [
      fresh
        ? `${desk.topics.length} lessons · ${totals.exercises} exercises`
        : `${totals.right} of ${totals.exercises} exercises right`,
    ];
    if (totals.optional_right) parts.push(`${totals.optional_right} optional`);
    if (totals.revealed) parts.push(`${totals.revealed} with the solution seen`);
    if (!fresh) parts.push(`${minutes(totals.minutes_left)} left`);
    if (due) parts.push(`${due} to review`);
    line.textContent = parts.join(" · ");
    go.disabled = !next && !isFresh(desk.syllabus);
    go.title = whereTo(desk);
    problems.replaceChildren(...found.map((problem) => h("p", { class: "studium-note" }, problem)));
  });
  return h("div", { class: "studium-head" }, h("h2", {}, "Studium"), go, bar, line, problems);
}
