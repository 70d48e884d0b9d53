// The verdict of a check: a card that Python makes, the same in every application, and below it what to do next.
import { button, h, prose } from "./element.js";
import { endingView } from "./ending.js";
import { helpButtons, redraw, turns } from "./help.js";

const VERDICT = "application/vnd.studium.verdict+json";
const RANK = 0; // before the card's form without buttons, which has 50

/** Has the application show verdicts as cards with buttons. */
export function addCards(desk, Widget) {
  const Card = cardClass(desk, Widget);
  desk.rendermime?.addFactory({ safe: true, mimeTypes: [VERDICT], createRenderer: () => new Card() }, RANK);
}

const cardClass = (desk, Widget) =>
  class Card extends Widget {
    #about = null;
    #end = new AbortController();
    #shown = null; // the renderer of a difference
    #ended = 0; // when the check was that ended the lesson
    #next = h("div", { class: "studium-next", "data-lm-suppress-shortcuts": "true" });
    #extra = h("div", { class: "studium-extra", "data-lm-suppress-shortcuts": "true" });
    #ending = h("div", { "data-lm-suppress-shortcuts": "true" });
    #turn = turns(this.#extra);

    constructor() {
      super();
      this.addClass("studium-verdict-output");
      for (const name of ["syllabus", "jobs"]) desk.on(name, () => this.#draw(), this.#end.signal);
    }

    async renderModel(model) {
      this.#about = model.data[VERDICT];
      const face = desk.rendermime.createRenderer("text/html");
      await face.renderModel(model);
      const card = face.node.firstElementChild ?? face.node;
      card.append(this.#next, this.#extra);
      this.node.replaceChildren(face.node, this.#ending);
      this.#draw();
    }

    // Only now is it known in which notebook the card stands.
    onAfterAttach(message) {
      super.onAfterAttach(message);
      this.#draw();
    }

    dispose() {
      this.#end.abort();
      this.#shown?.dispose();
      super.dispose();
    }

    #draw() {
      const place = this.#about && placeOf(desk, this.node, this.#about);
      if (!place) return;
      redraw(this.#next, () => this.#next.replaceChildren(...this.#actions(place)));
      const { topic, exercise, panel } = place;
      if (!isEnd(this.#about, topic, exercise)) return this.#ending.replaceChildren();
      if (this.#ended === exercise.checked_at) return;
      this.#ended = exercise.checked_at;
      endingView(desk, panel.context.path).then((view) => this.#ending.replaceChildren(...view));
    }

    #actions({ topic, exercise, panel }) {
      const { path } = panel.context;
      const right = this.#about.outcome === "right";
      const experiment = (right || (exercise.as_it_is && this.#about.outcome === "wrong")) && hasCell(panel, exercise.experiment);
      const next = nextOf(topic, exercise);
      const made = [];
      if (right) made.push(...onward(desk, { topic, exercise, panel, experiment, next }));
      if (this.#about.differs) made.push(button("See the difference", () => this.#difference(path, exercise)));
      if (!right && experiment) made.push(button("Run the experiment", () => desk.run(panel, exercise.experiment)));
      made.push(...helpButtons(desk, path, exercise, this.#turn));
      if (!right && next) made.push(button("Next exercise", () => desk.open(topic, next.cell), { label: `Next exercise: ${next.id}` }));
      const unlocked = right && experiment ? h("p", { class: "studium-note" }, "The experiment below now runs with your ", ...prose(`\`${exercise.id}\`.`)) : "";
      return [unlocked, h("div", { class: "studium-tools" }, made)].filter(Boolean);
    }

    async #difference(path, exercise) {
      const show = this.#turn();
      show(h("p", { class: "studium-note" }, "Running the tests again …"));
      const answer = await desk.difference(path, exercise.id);
      const place = h("div", { class: "studium-difference" });
      show(place);
      if (answer && place.isConnected) await this.#render(answer.output, place);
    }

    async #render(data, place) {
      const { rendermime } = desk;
      this.#shown?.dispose();
      const renderer = rendermime.createRenderer(rendermime.preferredMimeType(data, "any"));
      this.#shown = renderer;
      await renderer.renderModel(rendermime.createModel({ data, trusted: true }));
      if (place.isConnected) Widget.attach(renderer, place);
    }
  };

/** Where a card stands: {panel, topic, exercise}; null where it is in no notebook, or its exercise is not known. */
function placeOf(desk, node, about) {
  const panel = desk.tracker.find((widget) => widget.node.contains(node));
  const topic = desk.lessons.find(({ slug }) => slug === about.topic);
  const exercise = topic?.exercises.find(({ id }) => id === about.exercise);
  return panel && exercise ? { panel, topic, exercise } : null;
}

const hasCell = (panel, id) => panel.content.widgets.some((cell) => cell.model.id === id);

const isOver = ({ status }) => status === "right" || status === "revealed";

/** The exercise to go on with: the next one that is left to do, else the first; none where all are done. */
function nextOf({ exercises }, exercise) {
  const at = exercises.indexOf(exercise);
  const left = [...exercises.slice(at + 1), ...exercises.slice(0, at)].filter((one) => !isOver(one));
  return left.find((one) => one.optional === exercise.optional) ?? null;
}

// What a right answer leads to; the first is the thing to do.
function onward(desk, { topic, exercise, panel, experiment, next }) {
  const ways = [];
  if (experiment) ways.push(["Run the experiment", () => desk.run(panel, exercise.experiment)]);
  if (next) ways.push([`Next exercise: ${next.id}`, () => desk.open(topic, next.cell)]);
  return ways.map(([text, action], i) => button(text, action, { kind: i ? "" : "studium-primary" }));
}

/** Whether a card tells of the check that ended its lesson: the last one of an exercise that is not optional. */
function isEnd({ outcome }, { status, exercises }, exercise) {
  const core = exercises.filter((one) => !one.optional);
  const last = core.reduce((found, one) => ((one.checked_at ?? 0) >= (found.checked_at ?? 0) ? one : found), core[0]);
  return outcome === "right" && status === "done" && exercise === last;
}
