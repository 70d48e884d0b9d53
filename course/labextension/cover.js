// The cover: a tab that a course opens with. A widget that moves, one button, and all lessons with the learner's state.
import { isFresh, resume } from "./commands.js";
import { button, h, minutes, spelledOut } from "./element.js";
import { graphView } from "./graph.js";
import { done, lessonImage } from "./images.js";
import { WIDE } from "./state.js";
import { SIGNS } from "./states.js";

const SAVED = "application/vnd.studium.widget+json";

/** The tab: {open(), takePlaceOf(path)}; the latter opens it in place of the file at `path`, when that is opened first. */
export function coverTab(desk, Widget, icon, show) {
  let tab = null;
  const open = () => {
    if (!tab || tab.isDisposed) {
      tab = new Widget({ node: coverView(desk, Widget) });
      tab.id = "studium-cover";
      Object.assign(tab.title, { label: "Studium", icon, closable: true });
      desk.app.shell.add(tab, "main");
    }
    desk.app.shell.activateById(tab.id);
  };
  const takePlaceOf = (path) => {
    const { shell } = desk.app;
    if (!shell.layoutModified) return; // in Notebook each file has a page of its own
    const look = () => {
      const files = [...shell.widgets("main")].filter((widget) => widget.context?.path === path);
      if (!files.length) return;
      shell.layoutModified.disconnect(look);
      open();
      files.forEach((widget) => widget.close());
      if (WIDE.matches) show();
    };
    shell.layoutModified.connect(look);
    look();
  };
  const openMap = () => {
    open();
    desk.makeRoom();
    const heading = tab.node.querySelector(".studium-cover-map h2");
    requestAnimationFrame(() => {
      heading.scrollIntoView({ block: "start" });
      heading.focus({ preventScroll: true });
    });
  };
  return { open, openMap, takePlaceOf };
}

function coverView(desk, Widget) {
  const line = h("p", { class: "studium-note", role: "status" }, "Reading the lessons …");
  const first = () => isFresh(desk.syllabus);
  const begin = button("Begin", () => resume(desk), { kind: "studium-primary studium-begin", disabled: true });
  const figure = h("figure", { class: "studium-cover-widget" });
  const tracks = h("div", { class: "studium-cover-tracks" });
  const draw = () => {
    if (!desk.syllabus) return;
    const { opener, totals, resume: next } = desk.syllabus;
    const topic = desk.topics.find(({ slug }) => slug === next?.slug);
    line.textContent = first() ? "" : whatIsNext(topic, next);
    begin.disabled = !next && !first();
    begin.textContent = first()
      ? `Begin: ${spelledOut(opener.minutes)}`
      : topic
        ? `${totals.right ? "Go on" : "Begin"}: ${topic.title}`
        : "Everything is done";
    tracks.replaceChildren(...desk.syllabus.tracks.map((track) => trackView(desk, track)));
  };
  desk.on("syllabus", draw);
  draw();
  showWidget(desk, Widget, figure);
  return h(
    "div",
    { class: "studium-desk studium-cover" },
    h(
      "div",
      { class: "studium-cover-head" },
      h("h1", {}, "Modern generative AI, one paper at a time"),
      h(
        "p",
        {},
        "Move what can be moved. Write the function that matters, and be told which mistake you made. Then see the paper's claim measured with your own code.",
      ),
      h("div", { class: "studium-row" }, begin, line),
    ),
    figure,
    tracks,
    h(
      "section",
      { class: "studium-cover-map" },
      h("h2", { tabindex: -1 }, "The map: what builds on what"),
      graphView(desk),
    ),
  );
}

function whatIsNext(topic, next) {
  const exercise = topic?.exercises.find(({ id }) => id === next.exercise);
  return exercise ? `Next: ${exercise.id}, about ${spelledOut(exercise.minutes)}` : "";
}

// As an output of a notebook, so that it lives without a kernel and follows the theme.
async function showWidget(desk, Widget, figure) {
  const { cover } = (await desk.tried(desk.api.get("cover"))) ?? {};
  if (!cover || desk.rendermime?.preferredMimeType({ [SAVED]: {} }) !== SAVED) return;
  const renderer = desk.rendermime.createRenderer(SAVED);
  await renderer.renderModel(desk.rendermime.createModel({ data: { [SAVED]: cover.widget }, trusted: true }));
  Widget.attach(renderer, figure);
  const lesson = desk.topics.find(({ slug }) => slug === cover.slug);
  const name = lesson ? button(cover.title, () => desk.open(lesson), { kind: "studium-link" }) : cover.title;
  figure.append(h("figcaption", { class: "studium-note" }, "It runs in this page. From the lesson ", name));
}

function trackView(desk, track) {
  const cards = track.topics.map((topic) => {
    const { right, of } = done(topic);
    const state = `${right} of ${of} right`;
    return h(
      "li",
      { class: `studium-card studium-${topic.status}` },
      lessonImage(desk, topic, 1),
      button(
        [h("span", { class: "studium-sign", "aria-hidden": "true" }, SIGNS[topic.status]), topic.title],
        () => desk.open(topic),
        { kind: "studium-link" },
      ),
      h("span", { class: "studium-note" }, `${state} · ${minutes(topic.minutes)}`),
      h("progress", {
        class: "studium-bar",
        max: Math.max(1, of),
        value: right,
        "aria-label": `${topic.title}: ${state}`,
      }),
    );
  });
  return h("section", {}, h("h2", {}, track.title), h("ul", { class: "studium-cards" }, cards));
}
