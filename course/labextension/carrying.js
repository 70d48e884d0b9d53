// Progress that travels: a file to save and to take over, and a link for one short answer.
import { button, h } from "./element.js";

export function carryingView(desk) {
  const said = h("p", { class: "studium-note", role: "status" });
  const say = (text) => (said.textContent = text);
  const file = h("input", {
    type: "file",
    accept: ".json,application/json",
    class: "studium-file",
    "aria-label": "A progress file to import",
  });
  file.addEventListener("change", () => take(desk, file, say));
  const code = h("input", {
    type: "text",
    class: "studium-search",
    placeholder: "A link that somebody sent you",
    "aria-label": "A link that somebody sent you",
  });
  const answer = h("div", {});
  const element = h(
    "section",
    { class: "studium-carrying" },
    h("h3", {}, "Take it with you"),
    h(
      "p",
      { class: "studium-note" },
      "One file holds your answers, attempts and reviews. Import it on another machine, in Notebook or with `studium progress`.".replaceAll(
        "`",
        "",
      ),
    ),
    h(
      "div",
      { class: "studium-tools" },
      button("Save as a file", () => save(desk, say)),
    ),
    h("label", {}, "Take over a file", file),
    h("h3", {}, "One answer as a link"),
    h(
      "div",
      { class: "studium-tools" },
      button("Link to the answer at the cursor", () => share(desk, answer, say)),
    ),
    h(
      "div",
      { class: "studium-row" },
      code,
      button("Read it", () => read(desk, code.value.trim(), answer)),
    ),
    answer,
    said,
  );
  desk.on("shared", () => read(desk, desk.shared, answer));
  return element;
}

async function save(desk, say) {
  const file = await desk.tried(desk.api.get("progress", { folder: desk.folder }));
  if (!file) return;
  const url = URL.createObjectURL(new Blob([JSON.stringify(file)], { type: "application/json" }));
  const link = h("a", { href: url, download: "studium-progress.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  say(`Saved: ${file.entries.length} entries.`);
}

async function take(desk, input, say) {
  const [chosen] = input.files;
  input.value = "";
  let file;
  try {
    file = JSON.parse(await chosen.text());
  } catch {
    return say(`${chosen.name} is not a progress file; choose one that Studium has saved.`);
  }
  const answer = await desk.tried(desk.api.post("progress", { folder: desk.folder, file }));
  if (!answer) return;
  say(`${answer.added} entries were new, ${answer.known} were already there.`);
  await desk.load();
}

async function share(desk, element, say) {
  const { topic, exercise } = desk.here;
  if (!exercise) return say("Put the cursor into the cell of an exercise first.");
  const answer = await desk.tried(desk.api.get("share", { path: topic.path, exercise: exercise.id }));
  if (!answer) return;
  const link = desk.api.page(`lab/tree/${encodeURI(topic.path)}#${answer.code}`);
  element.replaceChildren(h("pre", { tabindex: 0, class: "studium-code" }, link));
}

async function read(desk, code, element) {
  const answer = await desk.tried(desk.api.post("share", { code }));
  if (answer)
    element.replaceChildren(
      h("p", { class: "studium-note" }, `${answer.slug}, ${answer.exercise}`),
      h("pre", { tabindex: 0 }, answer.answer),
    );
}
