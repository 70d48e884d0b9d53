// What was learned: lessons as images that fill with colour, mistakes overcome, and predictions over time.
import { button, h, prose } from "./element.js";
import { carryingView } from "./carrying.js";
import { done, lessonImage } from "./images.js";

const SHOWN = 5; // of the last mistakes and predictions

export function progressView(desk) {
  const wall = h("ul", { class: "studium-wall", "aria-label": "Lessons, in colour as far as they are done" });
  const mistakes = h("section", {});
  const predictions = h("section", {});
  const locks = h("p", { class: "studium-note" });
  const element = h(
    "div",
    { class: "studium-progress" },
    h("h3", {}, "Lessons"),
    wall,
    mistakes,
    predictions,
    carryingView(desk),
    locks,
  );
  let open = false;
  const draw = async () => {
    if (!open || !desk.syllabus) return;
    wall.replaceChildren(...desk.topics.map((topic) => tile(desk, topic)));
    const back = await desk.tried(desk.api.get("retrospect", { folder: desk.folder }));
    if (!back) return;
    mistakes.replaceChildren(...mistakesOf(desk, back.mistakes));
    predictions.replaceChildren(...predictionsOf(desk, back.predictions));
    locks.textContent = (await desk.tried(desk.api.get("settings")))?.sentence ?? "";
  };
  desk.on("syllabus", draw);
  return {
    element,
    shown: () => {
      open = true;
      draw();
    },
  };
}

function tile(desk, topic) {
  const { right, of, share } = done(topic);
  return h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        class: `studium-tile studium-${topic.status}`,
        title: topic.title,
        onclick: () => desk.open(topic),
      },
      lessonImage(desk, topic, share),
      h("span", { class: "studium-title" }, topic.title),
      h("span", { class: "studium-note" }, `${right} of ${of}`),
      h("span", { class: "studium-hidden" }, " right. Open the lesson"),
    ),
  );
}

const titleOf = (desk, slug) => desk.topics.find((topic) => topic.slug === slug)?.title ?? slug;

function mistakesOf(desk, met) {
  const head = h("h3", {}, "Mistakes overcome");
  if (!met.length)
    return [
      head,
      h(
        "p",
        { class: "studium-note" },
        "No mistake has been named yet. Each one that is, and that you overcome, is kept here.",
      ),
    ];
  const overcome = met.filter((one) => one.overcome).length;
  const line = ({ slug, exercise, sentence, overcome: when }) => {
    const topic = desk.lessons.find((one) => one.slug === slug);
    const cell = topic?.exercises.find((one) => one.id === exercise)?.cell;
    return h(
      "li",
      { class: when ? "studium-right" : "studium-wrong" },
      h(
        "span",
        { class: "studium-mark", role: "img", "aria-label": when ? "overcome" : "not overcome yet" },
        when ? "✓" : "✗",
      ),
      h(
        "span",
        {},
        ...prose(sentence || "A mistake that this edition no longer names"),
        " ",
        topic ? button(exercise, () => desk.open(topic, cell), { kind: "studium-link" }) : "",
      ),
    );
  };
  const open = met.filter((one) => !one.overcome);
  const ended = met.filter((one) => one.overcome).reverse();
  return [
    head,
    h(
      "p",
      {},
      h("b", {}, `${overcome} of ${met.length}`),
      ` named ${met.length === 1 ? "mistake" : "mistakes"} overcome`,
    ),
    h("progress", { class: "studium-bar", max: met.length, value: overcome, "aria-label": "Mistakes overcome" }),
    h("ul", { class: "studium-met" }, [...open, ...ended].slice(0, SHOWN).map(line)),
  ];
}

function predictionsOf(desk, told) {
  const head = h("h3", {}, "Predictions");
  if (!told.length)
    return [
      head,
      h(
        "p",
        { class: "studium-note" },
        "None has an answer yet. Guesses that you write down before you look appear here, hit or miss.",
      ),
    ];
  const hits = told.filter((one) => one.hit).length;
  const last = told.slice(-SHOWN).reverse();
  const mark = ({ hit, name }) =>
    h(
      "li",
      { class: hit ? "studium-hit" : "studium-miss", title: name },
      h("span", { class: "studium-hidden" }, `${name}: ${hit ? "hit" : "miss"}`),
    );
  const short = (number) => Number(number.toPrecision(3)).toLocaleString("en");
  const row = ({ slug, name, guess, value, hit }) =>
    h(
      "li",
      { class: hit ? "studium-right" : "studium-note", title: titleOf(desk, slug) },
      `${hit ? "✓" : "✗"} ${name}: ${short(guess)} expected, ${short(value)} found`,
    );
  return [
    head,
    h("p", {}, h("b", {}, `${hits} of ${told.length}`), " hit, in the order of time:"),
    h("ol", { class: "studium-hits", "aria-label": "Predictions over time" }, told.map(mark)),
    h("ul", { class: "studium-met" }, last.map(row)),
  ];
}
