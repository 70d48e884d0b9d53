// Marking by hand: the list of questions, and one answer after the other. What is written here goes into the gradebook at once.
import { h, put } from "studium_widgets/controls/element.js";
import { markingDesk } from "./mark_desk.js";
import { questionList } from "./mark_questions.js";
import { requestList } from "./mark_requests.js";
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
      return await work();
    } catch (error) {
      if (error instanceof EndedError) ended(error);
      else say(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`, "bad");
    } finally {
      main.ariaBusy = "false";
    }
  };
  const questions = questionList(
    (question, marked) => doing(() => start(question, marked)),
    () => doing(refresh),
  );
  const requests = requestList(
    (named) => doing(() => look(named)),
    (id, text) => doing(() => reply(id, text)),
  );
  const desk = markingDesk({
    ask,
    doing,
    say,
    leave: () => doing(list),
    counted: refresh,
    isBusy: () => main.ariaBusy === "true",
  });
  const front = h("div", {}, questions.element, requests.element);
  main.replaceChildren(h("header", { class: "head" }, course, title, line), front, desk.element);

  async function refresh() {
    const found = await ask("");
    put(course, "textContent", found.title);
    questions.draw(found);
    if (!front.hidden) requests.draw(await ask(`/requests?names=${questions.names() ? 1 : 0}`));
    return found.questions;
  }

  async function list() {
    await ask("/next", "DELETE");
    desk.element.hidden = true;
    front.hidden = false;
    await refresh();
    put(title, "textContent", place.assignment);
    say("");
    questions.focus();
  }

  async function start(question, marked) {
    put(title, "textContent", question.title);
    if (!(await desk.start(question, marked, questions.names()))) return list();
    front.hidden = true;
    desk.element.hidden = false;
  }

  /** Shows the one answer that a request is about. */
  async function look(named) {
    put(title, "textContent", named.title);
    await desk.look(named, questions.names());
    front.hidden = true;
    desk.element.hidden = false;
  }

  async function reply(id, text) {
    await ask(`/requests/${id}`, "PUT", { text });
    await refresh();
    say("The student can read your reply now.", "good");
    return true;
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
