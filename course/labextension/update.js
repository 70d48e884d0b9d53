// An installed lesson that is newer than the one in the workspace: a preview, then a merge that keeps every answer.
import { button, h } from "./element.js";

export function updateView(desk) {
  const element = h("div", { class: "studium-update", role: "status" });
  let drawn = null;
  const draw = (topic) => {
    const key = `${topic.path} ${topic.update}`;
    if (key === drawn) return;
    drawn = key;
    const look = button("See what is new", () => preview(desk, topic, element), {
      label: `See what is new in ${topic.title}`,
    });
    element.replaceChildren(
      ...(topic.update ? [h("p", { class: "studium-note" }, "There is a newer version of this lesson."), look] : []),
    );
  };
  return { element, draw };
}

async function preview(desk, topic, element) {
  await desk.save(topic.path); // what is on the screen is what will be merged
  const found = await desk.tried(desk.api.get("update", { path: topic.path }));
  if (!found) return;
  const cells = found.cells.map((cell) => h("li", {}, cell.text));
  const apply = async () => {
    const done = await desk.changeFile(topic.path, () =>
      desk.api.post("update", { path: topic.path, digest: found.digest }),
    );
    if (!done) return preview(desk, topic, element); // it was changed in between, and the server has said so
    const back = button("Undo", () => undo(desk, topic, done.undo, element));
    element.replaceChildren(
      h("p", { class: "studium-note" }, "The lesson is up to date, and your answers are unchanged."),
      back,
    );
  };
  element.replaceChildren(
    h("ul", { class: "studium-results" }, cells),
    button("Update", apply, { kind: "studium-primary", label: `Update ${topic.title}` }),
  );
}

async function undo(desk, topic, id, element) {
  const done = await desk.changeFile(topic.path, () => desk.api.post("undo", { path: topic.path, undo: id }));
  if (done) element.replaceChildren(h("p", { class: "studium-note" }, "The lesson is as it was before."));
}
