// The syllabus: search, filter, tracks, topics and their exercises.
import { button, h, minutes, prose } from "./element.js";
import { exerciseView } from "./exercise.js";
import { SIGNS, WORDS } from "./states.js";
import { updateView } from "./update.js";

const FILTERS = [
  ["all", "All lessons"],
  ["open", "Not done"],
  ["wrong", "With mistakes"],
  ["done", "Done"],
];
const KEEPS = {
  all: () => true,
  open: (topic) => topic.status !== "done",
  wrong: (topic) => topic.exercises.some((exercise) => exercise.status === "wrong"),
  done: (topic) => topic.status === "done",
};

export function lessonsView(desk) {
  const list = h("div", { class: "studium-list" });
  const found = h("div", { class: "studium-found", role: "status" });
  const filter = h(
    "select",
    { "aria-label": "Which lessons", class: "studium-select" },
    FILTERS.map(([value, text]) => h("option", { value }, text)),
  );
  const search = h("input", {
    type: "search",
    class: "studium-search",
    placeholder: "Search",
    "aria-label": "Search the lessons",
  });
  const topics = new Map(); // slug → view, kept so that what is open stays open
  const draw = () => {
    const tracks = desk.syllabus.tracks.map((track) => ({
      ...track,
      topics: track.topics.filter(KEEPS[filter.value]),
    }));
    const shown = tracks.filter((track) => track.topics.length);
    list.replaceChildren(
      ...shown.map((track) =>
        h(
          "section",
          {},
          h("h3", {}, track.title),
          track.topics.map((topic) => viewOf(topic)),
        ),
      ),
    );
    if (!shown.length) list.append(h("p", { class: "studium-note" }, "No lesson matches."));
  };
  const viewOf = (topic) => {
    if (!topics.has(topic.slug)) topics.set(topic.slug, topicView(desk, topic.slug));
    const view = topics.get(topic.slug);
    view.draw(topic);
    return view.element;
  };
  let shown = null; // the lesson that was opened here last: whoever closes it again, keeps it closed
  const openHere = () => {
    const { topic } = desk.here;
    if (!topic || desk.path === shown) return;
    shown = desk.path;
    topics.get(topic.slug)?.open();
    scrollHere();
  };
  const scrollHere = () => topics.get(desk.here.topic?.slug)?.element.scrollIntoView({ block: "start" }); // it may be the last of many
  new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && scrollHere()).observe(list); // nothing scrolls while it is hidden
  desk.on("syllabus", draw);
  desk.on("jobs", () => desk.syllabus && draw());
  for (const event of ["syllabus", "place"]) desk.on(event, openHere);
  filter.addEventListener("change", draw);
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => look(desk, search.value.trim(), found, list), 150);
  });
  return { element: h("div", {}, h("div", { class: "studium-row" }, search, filter), found, list) };
}

async function look(desk, query, found, list) {
  list.hidden = query.length > 1;
  if (query.length < 2) return found.replaceChildren();
  const answer = await desk.tried(desk.api.get("search", { q: query }));
  const results = answer?.results ?? [];
  const line = (result) => {
    const topic = desk.topics.find((one) => one.slug === result.slug);
    const open = () => desk.open(topic, result.cell);
    return h(
      "li",
      {},
      button(prose(`${result.title} · ${result.section}`), open, { kind: "studium-link" }),
      desk.markdown(result.text),
    );
  };
  found.replaceChildren(
    h(
      "p",
      { class: "studium-note" },
      `${results.length === 1 ? "1 place" : `${results.length} places`} with “${query}”`,
    ),
    h("ul", { class: "studium-results" }, results.map(line)),
  );
}

function topicView(desk, slug) {
  const summary = h("summary", {});
  const body = h("div", { class: "studium-topic-body" });
  const element = h("details", { class: "studium-topic" }, summary, body);
  // What unfolds below the edge of the panel would look as if nothing had happened.
  element.addEventListener(
    "toggle",
    () => element.open && element.contains(document.activeElement) && element.scrollIntoView({ block: "start" }),
  );
  const exercises = new Map();
  const update = updateView(desk);
  const draw = (topic) => {
    const right = (optional) =>
      topic.exercises.filter((one) => one.optional === optional && one.status === "right").length;
    const core = topic.exercises.filter((one) => !one.optional).length;
    const further = topic.exercises.length - core ? ` · ${right(true)}/${topic.exercises.length - core} optional` : "";
    summary.replaceChildren(
      h(
        "span",
        { class: `studium-sign studium-${topic.status}`, role: "img", "aria-label": WORDS[topic.status] },
        SIGNS[topic.status],
      ),
      h("span", { class: "studium-title" }, topic.title),
      h("span", { class: "studium-note" }, `${right(false)}/${core}${further} · ${minutes(topic.minutes_left)}`),
    );
    update.draw(topic);
    const missing = topic.missing.length
      ? h(
          "p",
          { class: "studium-note" },
          `Comes after: ${topic.missing.map((slug) => desk.topics.find((one) => one.slug === slug)?.title ?? slug).join(", ")}`,
        )
      : "";
    const views = topic.exercises.map((exercise) => {
      if (!exercises.has(exercise.id)) exercises.set(exercise.id, exerciseView(desk, slug));
      const view = exercises.get(exercise.id);
      view.draw(topic, exercise);
      return view.element;
    });
    const label = topic.experiments.map((one) => one.label?.text).find(Boolean);
    const open = topic.path ? "Open the lesson" : "Write and open the lesson";
    body.replaceChildren(
      ...[
        topic.problem ? h("p", { class: "studium-note", role: "alert" }, topic.problem) : "",
        h("p", { class: "studium-note" }, topic.summary),
        missing,
        label ? h("p", { class: "studium-note" }, `Its experiment: ${label}`) : "",
        button(open, () => desk.open(topic), { kind: "studium-primary", label: `${open}: ${topic.title}` }),
        update.element,
        views.length ? h("ul", { class: "studium-exercises" }, views) : "",
      ].filter(Boolean),
    );
  };
  return { element, draw, open: () => (element.open = true) };
}
