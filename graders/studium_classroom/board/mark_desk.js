// One answer on the desk: the answer on the left, the rubric, points and comment on the right, all by keyboard.
import { h, put } from "studium_widgets/controls/element.js";
import { answerView } from "./mark_answer.js";
import { rubricView } from "./mark_rubric.js";
import { points as figure } from "./words.js";

const KEYS = [
  ["1 to 9", "an item of the rubric"],
  ["Enter", "save, and the next answer"],
  ["n, p", "next, previous, without saving"],
  ["+", "points"],
  ["c", "comment (Ctrl+Enter saves)"],
  ["a", "a new item"],
  ["Esc", "out of a field, then back to the questions"],
];

/** `ask(path, method, body)`, `doing(work)`, `say(text, kind)`, `leave()`, `counted()` gives the questions anew, `isBusy()`. */
export function markingDesk({ ask, doing, say, leave, counted, isBusy }) {
  let now = null; // the opened answer, the question, the walk through it
  const who = h("h2", { tabindex: "-1" });
  const progress = h("progress", { "aria-label": "Marked answers" });
  const done = h("span", { class: "figure" });
  const view = answerView();
  const sum = h("output", { class: "sum" });
  const beside = h("input", { type: "text", inputmode: "decimal", size: 5, autocomplete: "off" });
  const comment = h("textarea", { rows: 5, maxlength: 10_000 });
  const rubric = rubricView({
    changed: () => touch(),
    add: (text, points) => doing(() => edited("/rubric", "POST", { question: now.opened.question, text, points })),
    change: (id, text, points) => doing(() => edited(`/rubric/${id}`, "PUT", { text, points })),
    remove: (id) => doing(() => edited(`/rubric/${id}`, "DELETE")),
  });
  const press = (text, key, work, kind = "") => {
    const button = h("button", { type: "button", class: kind }, text, " ", h("kbd", {}, key));
    button.addEventListener("click", work);
    return button;
  };
  const save = () => doing(() => saved());
  const next = () => doing(() => moved(1));
  const previous = () => doing(() => moved(-1));
  const back = () => isUnsaved() || leave();
  const side = h(
    "section",
    { class: "side", "aria-label": "Your mark" },
    rubric.element,
    h("label", { class: "field" }, "Points, added to the items ", h("kbd", {}, "+"), beside),
    h("p", { class: "total" }, "Mark: ", sum),
    h("label", { class: "field" }, "Comment ", h("kbd", {}, "c"), comment),
    h(
      "div",
      { class: "buttons" },
      press("Save, next", "Enter", save, "primary"),
      press("Previous", "p", previous),
      press("Next", "n", next),
      press("Questions", "Esc", back),
    ),
    h(
      "details",
      {},
      h("summary", {}, "Keys"),
      h("dl", {}, ...KEYS.flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)])),
    ),
  );
  const top = h("div", { class: "top" }, who, h("p", {}, progress, " ", done));
  const element = h(
    "section",
    { class: "desk", "aria-label": "Answer" },
    h("div", { class: "work" }, top, view.element),
    side,
  );

  const number = () => (beside.value.trim() ? Number(beside.value.trim().replace(",", ".").replace("−", "-")) : null);

  function touch() {
    now.changed = true;
    now.warned = false;
    drawSum();
  }

  function drawSum() {
    const [items, extra, most] = [rubric.chosen(), number(), now.opened.max_score];
    beside.setAttribute("aria-invalid", String(Number.isNaN(extra)));
    const total = items.reduce((all, { points }) => all + points, extra ?? 0);
    const mark = Math.min(most, Math.max(0, total));
    const cut = mark === total || Number.isNaN(total) ? "" : ` (${figure(total)} before the limits)`;
    const words = Number.isNaN(extra) ? "points must be a number" : `${figure(mark)} of ${figure(most)}${cut}`;
    put(sum, "textContent", items.length || extra !== null ? words : "not marked yet");
  }

  function show({ opened, shown }) {
    now = { ...now, opened, changed: false, warned: false };
    const by = opened.marked_by ? `, marked by ${opened.marked_by}` : "";
    put(who, "textContent", `${opened.student || "An answer"}${by}`);
    view.draw(shown, opened);
    rubric.draw(opened.rubric, opened.items);
    beside.value = opened.points === null ? "" : figure(opened.points);
    comment.value = opened.comment;
    drawSum();
    if (opened.changed) say("This answer was marked before, and has changed since.", "warn");
    scrollTo({ top: 0 });
    who.focus({ preventScroll: true });
  }

  async function drawProgress() {
    const questions = await counted().catch(() => []); // whatever is wrong shows at the next step
    const found = questions.find(({ question }) => question === now.question.question);
    if (!found) return;
    const all = found.waiting + found.marked;
    [progress.max, progress.value] = [all, found.marked];
    put(done, "textContent", `${found.marked} of ${all} are marked`);
  }

  /** Takes the first answer of a walk; gives false where there is none. */
  async function start(question, marked, names) {
    now = { question, marked, names, path: [], at: -1, opened: null };
    say("");
    return taken("");
  }

  /** Takes one certain answer, and no other after it. */
  async function look({ answer, question }, names) {
    const page = await ask(`/answers/${answer}`, "POST", { names });
    now = { question: { question }, marked: true, names, path: [answer], at: 0, opened: null, only: true };
    say("");
    show(page);
    drawProgress();
  }

  async function taken(after) {
    const { question, marked, names } = now;
    const page = await ask("/next", "POST", { question: question.question, after, marked, names });
    if (!page.opened) return false;
    now.path = [...now.path.slice(0, now.at + 1), page.opened.answer];
    now.at = now.path.length - 1;
    show(page);
    drawProgress();
    return true;
  }

  /** Tells, once, that something here is not saved. */
  function isUnsaved() {
    if (!now.changed || now.warned) return false;
    now.warned = true;
    say("Not saved: press Enter to save, or the same key again to leave it.", "warn");
    return true;
  }

  async function moved(step) {
    if (isUnsaved()) return;
    say("");
    if (now.only) return say("This is the answer that the student asks about.");
    const known = now.path[now.at + step];
    if (known) {
      const page = await ask(`/answers/${known}`, "POST", { names: now.names });
      now.at += step;
      show(page);
    } else if (step < 0) say("This is the first answer that you opened.");
    else if (!(await taken(now.opened.answer))) {
      show(await ask(`/answers/${now.opened.answer}`, "POST", { names: now.names }));
      say("There is no other answer to take; somebody else may hold the last ones.");
    }
  }

  async function saved() {
    const { answer, stamp } = now.opened;
    const extra = number();
    const items = rubric.chosen().map(({ id }) => id);
    if (Number.isNaN(extra)) return say("The points must be a number, such as 1.5 or -1.", "bad");
    if (!items.length && extra === null)
      return say("A mark needs an item of the rubric, or points; 0 points count, too.", "bad");
    const body = { items, points: extra, comment: comment.value, stamp };
    const { mark } = await ask(`/answers/${answer}`, "PUT", body);
    now.changed = false;
    say(`Saved: ${figure(mark)} of ${figure(now.opened.max_score)}.`, "good");
    if (now.only) {
      drawProgress();
      show(await ask(`/answers/${answer}`, "POST", { names: now.names }));
      return say(`Saved: ${figure(mark)} of ${figure(now.opened.max_score)}. Now reply to the student.`, "good");
    }
    const known = now.path[now.at + 1];
    if (known) return moved(1);
    if (!(await taken(answer))) {
      drawProgress();
      show(await ask(`/answers/${answer}`, "POST", { names: now.names }));
      say("Saved. That was the last answer that you can take here.", "good");
    }
  }

  async function edited(path, method, body) {
    const found = await ask(path, method, body);
    rubric.draw(found.items, [...rubric.chosen().map(({ id }) => id), ...added(found.items, method)]);
    drawSum();
    if (method === "POST") touch();
    if (found.again) say(`${found.again} ${found.again === 1 ? "answer was" : "answers were"} marked again.`, "good");
    drawProgress();
  }

  const added = (items, method) => (method === "POST" ? [items.at(-1).id] : []); // whoever adds an item needs it here

  beside.addEventListener("input", touch);
  comment.addEventListener("input", touch);

  const ACTIONS = {
    n: next,
    ArrowRight: next,
    p: previous,
    ArrowLeft: previous,
    c: () => comment.focus(),
    "+": () => beside.focus(),
    a: () => rubric.begin(),
    Escape: back,
  };
  addEventListener("beforeunload", (event) => !element.hidden && now?.changed && event.preventDefault());
  addEventListener("keydown", (event) => {
    if (element.hidden || !now?.opened || isBusy() || event.altKey || event.metaKey) return;
    const { key, target } = event;
    const field = target.matches("input:not([type=checkbox]), textarea");
    if (key === "Enter" && (event.ctrlKey ? target === comment : !target.matches("textarea, button, summary, a")))
      return rubric.owns(target) ? undefined : act(event, save);
    if (event.ctrlKey) return;
    if (field) return key === "Escape" ? act(event, () => who.focus({ preventScroll: true })) : undefined;
    if (/^[1-9]$/.test(key)) return act(event, () => rubric.toggle(Number(key) - 1));
    if (key.startsWith("Arrow") && target.closest(".scroll")) return; // wide code scrolls
    if (ACTIONS[key]) act(event, ACTIONS[key]);
  });
  return { element, start, look };
}

function act(event, work) {
  event.preventDefault();
  work();
}
