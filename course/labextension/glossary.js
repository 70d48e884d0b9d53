// The words of the lessons: one sentence each, and the place that introduces it; above them the symbols of all lessons.
import { button, h } from "./element.js";

export function glossaryView(desk) {
  const list = h("dl", { class: "studium-words" });
  const search = h("input", {
    type: "search",
    class: "studium-search",
    placeholder: "Find a word",
    "aria-label": "Find a word",
  });
  const notation = h("tbody", {});
  const folded = h(
    "details",
    { class: "studium-symbols", hidden: true },
    h("summary", {}, "Symbols"),
    h("table", {}, notation),
  );
  let terms = null;
  const draw = () => {
    const wanted = search.value.trim().toLowerCase();
    const shown = (terms ?? []).filter(({ term }) => term.toLowerCase().includes(wanted));
    list.replaceChildren(...shown.flatMap((term) => entry(desk, term)));
    if (!shown.length)
      list.replaceChildren(h("dt", { class: "studium-note" }, terms ? "No word matches." : "Reading …"));
  };
  search.addEventListener("input", draw);
  const shown = async () => {
    if (terms) return;
    draw();
    const told = await desk.tried(desk.api.get("glossary"));
    terms = told?.terms ?? null;
    notation.replaceChildren(...(told?.symbols ?? []).map((one) => symbol(desk, one)));
    folded.hidden = !told;
    draw();
  };
  return { element: h("div", {}, folded, h("div", { class: "studium-row" }, search), list), shown };
}

function symbol(desk, { symbol, meaning }) {
  return h("tr", {}, h("th", { scope: "row" }, desk.markdown(`$${symbol}$`)), h("td", {}, desk.markdown(meaning)));
}

function entry(desk, { term, sentence, slug, cell }) {
  const topic = desk.topics.find((one) => one.slug === slug);
  const where = topic
    ? button(topic.title, () => desk.open(topic, cell), { kind: "studium-link", label: `${term} in ${topic.title}` })
    : "";
  return [h("dt", {}, term), h("dd", {}, desk.markdown(sentence), where)];
}
