// The verdict of a check: a card that Python makes, the same in every application, and below it what to do next.
import { button, h, prose } from "./element.js";
import { goToEnding } from "./ending.js";
import { guessForm, writeGuesses } from "./guess.js";
import { helpButtons, redraw, turns } from "./help.js";
import { VERDICT } from "./verdict.js";
import { holds, isChecked, stateOf } from "./states.js";

const RANK = 0; // before the card's form without buttons, which has 50

/** Has the application show verdicts as cards with buttons. */
export function addCards(desk, { Panel, Widget }) {
  const Card = cardClass(desk, Panel, Widget);
  desk.rendermime?.addFactory({ safe: true, mimeTypes: [VERDICT], createRenderer: () => new Card() }, RANK);
}

const cardClass = (desk, Panel, Widget) =>
  class Card extends Panel {
    #about = null;
    #end = new AbortController();
    #answer = null; // the model of the cell whose answer was checked
    #difference = null; // the view of what the tests saw
    #next = h("div", { class: "studium-next" });
    #extra = h("div", { class: "studium-extra" });
    #turn = turns(this.#extra);

    constructor() {
      super();
      this.addClass("studium-verdict-card");
      for (const name of ["syllabus", "jobs"]) desk.on(name, () => this.#draw(), this.#end.signal);
    }

    async renderModel(model) {
      this.#about = model.data[VERDICT];
      this.addClass(`studium-${this.#about.outcome.replace(" ", "-")}`);
      const face = desk.rendermime.createRenderer("text/html");
      await face.renderModel(model);
      if (this.isDisposed) return face.dispose();
      this.addWidget(face);
      this.addWidget(new Widget({ node: h("div", { "data-lm-suppress-shortcuts": "true" }, this.#next, this.#extra) }));
      this.#draw();
    }

    // Only now is it known in which notebook the card stands.
    onAfterAttach(message) {
      super.onAfterAttach(message);
      this.#draw();
    }

    dispose() {
      this.#end.abort();
      this.#answer?.contentChanged.disconnect(this.#draw, this);
      super.dispose();
    }

    #draw() {
      const place = this.#about && placeOf(desk, this.node, this.#about);
      if (!place) return;
      const { panel, topic, exercise } = place;
      const { path } = panel.context;
      const has = hasCell(panel, exercise.experiment);
      const [old, checked] = [this.#isOld(place), isChecked(desk, path, exercise)];
      this.toggleClass("studium-old", old || checked);
      const content = () => (checked ? [checking(exercise)] : old ? this.#again(place) : this.#actions(place));
      redraw(this.#next, [path, topic, has, old, checked], () => this.#next.replaceChildren(...content()));
    }

    // Whether the answer is no longer the one that was checked, or another check came after this one.
    #isOld({ panel, exercise }) {
      const model = panel.content.widgets.find((cell) => cell.model.id === exercise.cell)?.model;
      if (model !== this.#answer) model?.contentChanged.connect(this.#draw, this);
      this.#answer = model;
      if (!model || !this.#about.answer) return false;
      if (!holds(model.sharedModel.getSource(), this.#about.answer)) return true;
      return (
        this.#about.outcome !== "not attempted" &&
        ["untouched", "unchecked"].includes(stateOf(desk, panel.context.path, exercise))
      );
    }

    #actions(place) {
      const { topic, exercise, panel } = place;
      const { path } = panel.context;
      const right = this.#about.outcome === "right";
      const next = nextOf(topic, exercise);
      const experiment = () => this.#runExperiment(place);
      const made = right ? onward(desk, place, next, experiment) : [];
      if (this.#about.differs) made.push(button("See the difference", () => this.#showDifference(path, exercise)));
      if (
        this.#about.outcome === "wrong" &&
        this.#about.tested &&
        exercise.as_it_is &&
        hasCell(panel, exercise.experiment)
      ) {
        made.push(button("Run the experiment", experiment));
      }
      made.push(...helpButtons(desk, path, exercise, () => this.#begin(), { hints: !right }));
      if (!right && next)
        made.push(button("Next exercise", () => desk.open(topic, next.cell), { label: `Next exercise: ${next.id}` }));
      return [right ? unlocked(place) : "", h("div", { class: "studium-tools" }, made)].filter(Boolean);
    }

    // Of an answer that has changed nothing is known, but help with it is at hand.
    #again({ exercise, panel }) {
      const check = () => {
        desk.app.shell.activateById(panel.id);
        desk.check(exercise.id);
      };
      const help = helpButtons(desk, panel.context.path, exercise, () => this.#begin(), {
        hints: this.#about.outcome !== "right",
      });
      const made = [
        button("Check again", check, { label: `Check again: ${exercise.id}`, kind: "studium-primary" }),
        ...help,
      ];
      return [
        h("p", { class: "studium-note", role: "status" }, "You have changed your answer since this check."),
        h("div", { class: "studium-tools" }, made),
      ];
    }

    // What was asked for takes the place of what was shown before.
    #begin() {
      this.#difference?.dispose();
      this.#difference = null;
      return this.#turn();
    }

    // Whoever is asked something before runs nothing until there is a number, or a decision against one.
    async #runExperiment({ exercise, panel }) {
      const show = this.#begin();
      const found = await desk.needed(panel, exercise.experiment);
      if (!found) return;
      const { cells, questions } = found;
      const asking = questions.map(({ cell }) => cell);
      const run = (numbers) => {
        show();
        if (numbers) writeGuesses(panel, questions, numbers);
        desk.run(panel, numbers ? cells : cells.filter((cell) => !asking.includes(cell)));
      };
      if (questions.length) show(guessForm(desk, questions, run));
      else run(null);
    }

    async #showDifference(path, exercise) {
      const show = this.#begin();
      show(h("p", { class: "studium-note", role: "status" }, "Running the tests again …"));
      const answer = await desk.difference(path, exercise.id);
      if (show() === false) return;
      if (!answer) return;
      const { rendermime } = desk;
      const renderer = rendermime.createRenderer(rendermime.preferredMimeType(answer.output, "any"));
      await renderer.renderModel(rendermime.createModel({ data: answer.output, trusted: true }));
      this.#difference = renderer;
      this.addWidget(renderer);
    }
  };

/** What a card says, and what stands in its place, until the result of a check is there. */
export const checking = ({ id }) =>
  h("p", { class: "studium-note", role: "status" }, "Checking ", h("code", {}, id), " …");

/** Where a card stands: {panel, topic, exercise}; null where it is in no notebook, or its exercise is not known. */
function placeOf(desk, node, about) {
  const panel = desk.tracker.find((widget) => widget.node.contains(node));
  const topic = desk.lessons.find(({ slug }) => slug === about.topic);
  const exercise = topic?.exercises.find(({ id }) => id === about.exercise);
  return panel && exercise ? { panel, topic, exercise } : null;
}

const hasCell = (panel, id) => panel.content.widgets.some((cell) => cell.model.id === id);

/** The exercise to go on with: the next one that is left to do, else the first; none where all of its kind are done. */
function nextOf({ exercises }, exercise) {
  const at = exercises.indexOf(exercise);
  const others = [...exercises.slice(at + 1), ...exercises.slice(0, at)];
  return (
    others.find((one) => one.optional === exercise.optional && !["right", "revealed"].includes(one.status)) ?? null
  );
}

// What a right answer leads to; the first is the thing to do.
function onward(desk, { topic, exercise, panel }, next, experiment) {
  const ways = [];
  if (hasCell(panel, exercise.experiment)) ways.push(["Run the experiment", experiment]);
  if (next) ways.push([`Next exercise: ${next.id}`, () => desk.open(topic, next.cell)]);
  if (topic.status === "done") ways.push(["The end of the lesson", () => goToEnding(panel)]);
  return ways.map(([text, action], i) => button(text, action, { kind: i ? "" : "studium-primary" }));
}

function unlocked({ topic, exercise, panel }) {
  const done = topic.status === "done" && !exercise.optional ? "Every exercise of this lesson is done." : "";
  const runs = hasCell(panel, exercise.experiment)
    ? ["The experiment below now runs with your ", ...prose(`\`${exercise.id}\``), ". "]
    : [];
  return done || runs.length ? h("p", { class: "studium-note" }, ...runs, done) : "";
}
