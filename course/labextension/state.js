// What the panel knows, and what it asks the server for. Views listen to "syllabus", "jobs" and "place".
import { ApiError } from "./api.js";
import { h } from "./element.js";
import { VERDICT, showVerdicts } from "./verdict.js";

const STAGES = ["queued", "running"];
const OVER = STAGES.length;

/** Whether there is room for a panel beside a page: on a phone, it would leave nothing of the page. */
export const WIDE = matchMedia("(min-width: 600px)");

const stage = (job) => (STAGES.includes(job.state) ? STAGES.indexOf(job.state) : OVER);

export class Desk {
  syllabus = null;
  jobs = new Map(); // "path exercise" → job
  end = new AbortController();
  #heard = new EventTarget();
  #reload = 0;
  #asked = new Set(); // the checks that were asked for here, until their results are told
  #starting = new Set(); // "path exercise" of each check whose request is on its way
  #blank = new Map(); // "path exercise" → a text that a check found to be no attempt, which is written down nowhere
  #saves = new WeakMap(); // context → its last save, after which the next one begins

  constructor(api, app, tracker, { Notification, NotebookActions }) {
    Object.assign(this, { api, app, tracker, Notification, NotebookActions });
    tracker.currentChanged.connect(() => this.tell("place"));
    tracker.activeCellChanged?.connect(() => this.tell("place"));
  }

  on(name, action, signal = this.end.signal) {
    this.#heard.addEventListener(name, action, { signal });
  }

  tell(name) {
    this.#heard.dispatchEvent(new Event(name));
  }

  /** Reads the syllabus of the folder that holds the lessons: that of the open notebook, else the root. */
  async load() {
    const syllabus = await this.tried(this.api.get("syllabus", { folder: this.folder }));
    if (!syllabus) return;
    this.syllabus = syllabus;
    this.tell("syllabus");
  }

  get folder() {
    const path = this.path ?? "";
    return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  }

  get path() {
    return this.tracker.currentWidget?.context.path ?? null;
  }

  get topics() {
    return this.syllabus?.tracks.flatMap((track) => track.topics) ?? [];
  }

  /** The topics, and the lesson before them all. */
  get lessons() {
    return [this.syllabus?.opener, ...this.topics].filter(Boolean);
  }

  /** The topic whose lesson is open, and the exercise whose cells hold the cursor. */
  get here() {
    const slug = this.tracker.currentWidget?.model?.getMetadata?.("studium")?.topic;
    const topic = this.lessons.find((one) => one.path === this.path || one.slug === slug) ?? null;
    const cell = this.tracker.activeCell?.model;
    const name = cell?.getMetadata?.("studium")?.exercise;
    const exercise = topic?.exercises.find((one) => one.id === name || one.cell === cell?.id) ?? null;
    return { topic, exercise };
  }

  listen() {
    this.api.events(["job", "progress", "hello"], (name, data) => this.#hear(name, data), this.end.signal);
  }

  #hear(name, data) {
    if (name === "hello") data.jobs.forEach((job) => this.#note(job));
    if (name === "job") this.#note(data);
    if (name !== "progress") return;
    const exercise = this.lessons
      .find((topic) => topic.slug === data.slug)
      ?.exercises.find((one) => one.id === data.exercise);
    if (exercise) Object.assign(exercise, data.state);
    this.tell("syllabus");
    clearTimeout(this.#reload); // totals and minutes are the server's to count
    this.#reload = setTimeout(() => this.load(), 400);
  }

  // How a check came out that was asked for here: below the cell, and where no panel is there to say it, as a message.
  #report(job) {
    const { id, results } = job;
    if (!results || !this.#asked.delete(id)) return;
    const shown = showVerdicts(this, job);
    this.keep(job.path);
    if (this.panelIsShown()) return;
    const named = (outcome) => results.filter((one) => one.outcome === outcome).map((one) => one.id);
    const [right, wrong] = [named("right"), named("wrong")];
    const [first] = results;
    if (results.length === 1 && shown.length) return;
    if (results.length === 1 && wrong.length)
      return this.say(`${first.id} is not right yet: ${first.mistake || first.first_failure.message}`);
    if (results.length === 1 && !right.length) return this.say(`${first.id} is not attempted yet.`);
    if (results.length > 1)
      this.say(
        `${right.length} of ${results.length} exercises are right${wrong.length ? `; not right yet: ${wrong.join(", ")}` : ""}.`,
        wrong.length ? "warning" : "info",
      );
  }

  // A job only moves on: the answer to the request for it may come after the events that tell how it ended.
  #note(job) {
    const key = `${job.path} ${job.exercise ?? ""}`;
    this.#starting.delete(key);
    const known = this.jobs.get(key);
    const later = known?.id === job.id && stage(job) < stage(known) ? known : job;
    this.jobs.set(key, later);
    for (const { id, outcome, output } of job.results ?? []) {
      if (outcome === "not attempted") this.#blank.set(`${job.path} ${id}`, output[VERDICT].answer);
      else this.#blank.delete(`${job.path} ${id}`);
    }
    this.tell("jobs");
    if (later === known) return this.#report(known);
    this.#report(job);
    if (job.state === "failed" || job.state === "refused") this.say(job.message);
  }

  /** The job that is waiting or running for an exercise of the notebook at `path`, or null. */
  jobOf(path, exercise) {
    const found = [this.jobs.get(`${path} ${exercise}`), this.jobs.get(`${path} `)];
    return found.find((job) => job && stage(job) < OVER) ?? null;
  }

  /** Whether a check of this exercise alone, or without one of the whole notebook at `path`, is on its way, waits or runs. */
  isUnderWay(path, exercise = "") {
    const key = `${path} ${exercise}`;
    const job = this.jobs.get(key);
    return this.#starting.has(key) || Boolean(job && stage(job) < OVER);
  }

  /** Opens a lesson, written first where it is not there yet, at a cell. */
  async open(topic, cell = null) {
    let { path } = topic;
    if (!path) {
      path = (await this.tried(this.api.post("lessons", { slug: topic.slug, folder: this.folder })))?.path;
      if (!path) return;
      await this.load();
    }
    const widget = await this.app.commands.execute("docmanager:open", { path });
    this.makeRoom();
    if (widget?.context) await widget.context.ready;
    if (cell) this.#goTo(widget, cell);
  }

  /** Closes the side panel where it would leave nothing of the page that was opened. */
  makeRoom() {
    if (!WIDE.matches) this.app.shell.collapseLeft?.();
  }

  #goTo(widget, id) {
    const cells = widget?.content?.widgets ?? [];
    const at = cells.findIndex((cell) => cell.model.id === id);
    if (at < 0) return;
    widget.content.activeCellIndex = at;
    widget.content.scrollToItem?.(at, "smart").catch?.(() => {});
    cells[at].node.scrollIntoView({ block: "center" });
  }

  /** Checks an exercise, or the whole notebook, as it now stands on the screen. */
  async check(exercise = null) {
    const widget = this.tracker.currentWidget;
    if (!widget) return this.say("Open a lesson first: the check is for the notebook on the screen.");
    const { path, model } = widget.context;
    const key = `${path} ${exercise ?? ""}`;
    this.#starting.add(key);
    this.tell("jobs");
    this.keep(path);
    const job = await this.tried(
      this.api.post("checks", { path, notebook: model.toJSON(), ...(exercise ? { exercise } : {}) }),
    );
    if (!job) {
      this.#starting.delete(key);
      return this.tell("jobs");
    }
    this.#asked.add(job.id);
    this.#note(job);
  }

  /** What shows the arrays that differ in an answer as it now stands on the screen. */
  difference(path, exercise) {
    const notebook = this.#panelAt(path).context.model.toJSON();
    return this.tried(this.api.post("difference", { path, exercise, notebook }));
  }

  /** What a cell of an open notebook needs: {cells, questions}, the cells to run, itself last, and what they ask before. */
  needed({ context }, cell) {
    const { path, model } = context;
    return this.tried(this.api.post("needed", { path, cell, notebook: model.toJSON() }));
  }

  /** Runs cells of an open notebook, and goes to the last one. */
  async run(panel, cells) {
    const { sessionContext } = panel.context;
    this.#goTo(panel, cells.at(-1));
    await sessionContext.ready;
    await this.NotebookActions.runCells(
      panel.content,
      panel.content.widgets.filter((one) => cells.includes(one.model.id)),
      sessionContext,
    );
    this.#goTo(panel, cells.at(-1));
  }

  cancel = (job) => this.tried(this.api.request("DELETE", `checks/${job.id}`));
  hint = (path, exercise) => this.tried(this.api.post("hint", { path, exercise }));
  reveal = (path, exercise) => this.tried(this.api.post("reveal", { path, exercise }));
  history = (path, exercise) => this.tried(this.api.get("history", { path, exercise }));

  /** Saves the notebook at `path` where it is open, after a save that is under way; gives its context, if any. */
  async save(path) {
    const context = this.#panelAt(path)?.context;
    if (!context) return context;
    const before = this.#saves.get(context) ?? Promise.resolve();
    const saved = before.catch(() => {}).then(() => context.save());
    this.#saves.set(context, saved);
    await saved;
    return context;
  }

  /** Saves what a check has seen, and its verdict. Where that fails, the application itself says so. */
  keep(path) {
    if (this.#panelAt(path)?.context.contentsModel?.writable) this.save(path).catch(() => {});
  }

  /** Whether the last check of an exercise found that this text is no attempt. */
  isBlank(path, exercise, source) {
    return this.#blank.get(`${path} ${exercise}`)?.trim() === source.trim();
  }

  /** The text of a cell of the notebook at `path`; null where it is not open or has no such cell. */
  sourceOf(path, cell) {
    const found = this.#panelAt(path)?.content.widgets.find(({ model }) => model.id === cell);
    return found?.model.sharedModel.getSource() ?? null;
  }

  /** Puts the last right answer of an exercise back into its cell, and checks it; what was in the cell is kept. */
  async putBack(path, exercise) {
    const cell = this.#panelAt(path)?.content.widgets.find(({ model }) => model.id === exercise.cell);
    const known = await this.history(path, exercise.id);
    const right = known?.versions.find(({ outcome }) => outcome === "right");
    if (!cell || !right) return;
    const answer = cell.model.sharedModel.getSource();
    if (!(await this.tried(this.api.post("keep", { path, exercise: exercise.id, answer })))) return;
    cell.model.sharedModel.setSource(right.answer);
    await this.check(exercise.id);
  }

  #panelAt(path) {
    return this.tracker.find((widget) => widget.context.path === path);
  }

  /** Changes the notebook on the disk: what is on the screen is saved before and read again after. */
  async changeFile(path, change) {
    const context = await this.save(path);
    const answer = await this.tried(change());
    if (answer) await context?.revert();
    await this.load();
    return answer;
  }

  /** The value of a promise; where the server says no, its sentence is shown and null given. */
  async tried(promise) {
    try {
      return await promise;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.say(error.message);
      return null;
    }
  }

  /** Text of a lesson, with its formulas, as the application itself shows it. */
  markdown(text) {
    if (!this.rendermime) return h("div", {}, text);
    const renderer = this.rendermime.createRenderer("text/markdown");
    renderer.addClass("studium-markdown");
    const drawn = renderer.renderModel(this.rendermime.createModel({ data: { "text/markdown": text } }));
    drawn.then(() => this.rendermime.latexTypesetter?.typeset(renderer.node)); // by itself only where Lab attaches it
    return renderer.node;
  }

  say(sentence, tone = "warning") {
    if (this.Notification) this.Notification[tone](`Studium: ${sentence}`, { autoClose: 8000 });
    else console.warn(sentence);
  }
}
