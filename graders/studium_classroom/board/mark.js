// Marking by hand: the list of questions, and one answer after the other. What is written here goes into the gradebook at once.
import { h, put } from "studium_widgets/controls/element.js";
import { markingDesk } from "./mark_desk.js";
import { questionList } from "./mark_questions.js";
import { EndedError, openSession, place } from "./session.js";

const main = document.getElementById("content");

async function run() {
  put(document.querySelector(".where"), "textContent", `${place.course} · ${place.assignment}`);
  document.title = `${place.assignment}: mark by hand`;
  const session = await openSession();
  const ask = async (path, method = "GET", body = undefined) =>
    (await session(`marking${path}`, { method, body: body && JSON.stringify(body) })).json();
  const course = h("p", { class: "eyebrow" }, place.course);
  const title = h("h1", {}, place.assignment);
  const line = h("p", { class: "line", role: "status" });
  const say = (text, kind = "") => {
    line.dataset.kind = kind;
    put(line, "textContent", text);
  };
  /** Does what the person asked for, and shows why it failed. One thing at a time: a key that comes too early would mean another answer. */
  const doing = async (work) => {
    if (main.ariaBusy === "true") return;
    main.ariaBusy = "true";
    try {
      await work();
    } catch (error) {
      if (error instanceof EndedError) ended(error);
      else say(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`, "bad");
    } finally {
      main.ariaBusy = "false";
    }
  };
  const questions = questionList((question, marked) => doing(() => start(question, marked)));
  const desk = markingDesk({
    ask,
    doing,
    say,
    leave: () => doing(list),
    counted: refresh,
    isBusy: () => main.ariaBusy === "true",
  });
  main.replaceChildren(h("header", { class: "head" }, course, title, line), questions.element, desk.element);

  async function refresh() {
    const found = await ask("");
    put(course, "textContent", found.title);
    questions.draw(found);
    return found.questions;
  }

  async function list() {
    await ask("/next", "DELETE");
    await refresh();
    desk.element.hidden = true;
    questions.element.hidden = false;
    put(title, "textContent", place.assignment);
    say("");
    questions.focus();
  }

  async function start(question, marked) {
    put(title, "textContent", question.title);
    if (!(await desk.start(question, marked, questions.names()))) return list();
    questions.element.hidden = true;
    desk.element.hidden = false;
  }

  desk.element.hidden = true;
  main.ariaBusy = "false";
  await doing(refresh);
}

function ended(error) {
  const command = `studium classroom mark ${place.assignment}`;
  main.replaceChildren(
    h("h1", {}, "This page is closed"),
    h("p", {}, `${error.message[0].toUpperCase()}${error.message.slice(1)}.`),
    h("p", {}, "Make another link with ", h("code", {}, command), ". What you saved is in the gradebook."),
  );
  if (!(error instanceof EndedError)) throw error;
}

run().catch(ended);
export default null;
