// The requests for a regrade: what students write, the answers that they are about, and the reply.
import { h } from "studium_widgets/controls/element.js";
import { moment } from "./words.js";

const MOST = 2000; // characters of a reply

/** `open(answer)` shows an answer on the desk, `reply(id, text)` sends a reply. `draw(requests)` takes what the server says. */
export function requestList(open, reply) {
  const list = h("ol", {});
  const drafts = new Map(); // by request: a reply that is not sent yet survives that the list is drawn anew
  const element = h(
    "section",
    { class: "requests", "aria-labelledby": "requests", hidden: true },
    h("h2", { id: "requests" }, "Requests for a regrade"),
    list,
  );
  const draw = (requests) => {
    element.hidden = !requests.length;
    list.replaceChildren(...requests.map((one) => request(one, drafts, open, reply)));
  };
  return { element, draw };
}

function request({ id, student, attempt, text, asked, reply: said, replied, answers }, drafts, open, reply) {
  const who = `${student || "A student"}, attempt ${attempt}`;
  const choice = h("select", {}, ...answers.map(({ answer, title }) => h("option", { value: answer }, title)));
  const look = h("button", { type: "button", disabled: !answers.length }, "Open the answer");
  look.addEventListener("click", () => open(answers[choice.selectedIndex]));
  const field = h("textarea", { rows: 3, maxlength: MOST });
  field.value = drafts.get(id) ?? said;
  field.addEventListener("input", () => drafts.set(id, field.value));
  const send = h("button", { type: "button" }, replied ? "Change the reply" : "Reply");
  send.addEventListener("click", async () => {
    if (await reply(id, field.value)) drafts.delete(id);
  });
  return h(
    "li",
    { class: replied ? "replied" : "waits", "aria-label": `Request ${id}: ${who}` },
    h("h3", {}, who, " ", h("time", { datetime: asked }, moment(asked))),
    h("p", { class: "asked" }, text),
    h("div", { class: "buttons" }, h("label", {}, "Answer ", choice), look),
    h("label", { class: "field" }, replied ? `Reply, ${moment(replied)}` : "Reply, which the student reads", field),
    send,
  );
}
