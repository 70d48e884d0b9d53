// The map in the panel: lessons from top to bottom, and arcs beside them from what comes first to what builds on it.
import { done } from "./images.js";
import { button, h } from "./element.js";
import { SIGNS, WORDS } from "./states.js";

const [ROW, GUTTER] = [46, 44]; // px
const SVG = "http://www.w3.org/2000/svg";

export function mapView(desk) {
  const canvas = h("div", { class: "studium-map" });
  const draw = () => {
    const rows = new Map(desk.topics.map((topic, i) => [topic.slug, i]));
    const lines = document.createElementNS(SVG, "svg");
    for (const [name, value] of Object.entries({ "aria-hidden": "true", width: GUTTER, height: ROW * rows.size }))
      lines.setAttribute(name, value);
    const nodes = desk.topics.map((topic, at) => {
      for (const need of topic.needs.filter((slug) => rows.has(slug))) {
        const line = lines.appendChild(arc(rows.get(need), at, rows.size));
        Object.assign(line.dataset, { from: need, to: topic.slug });
      }
      return h("li", {}, nodeOf(desk, topic));
    });
    canvas.replaceChildren(lines, h("ul", { "aria-label": "Topics, by what comes first" }, nodes));
  };
  // The arcs of the lesson under the pointer or with the focus stand out.
  const light = ({ target }) => {
    const slug = target.closest?.(".studium-node")?.dataset.slug;
    for (const line of canvas.querySelectorAll("path"))
      line.classList.toggle("studium-lit", [line.dataset.from, line.dataset.to].includes(slug));
  };
  for (const name of ["pointerover", "focusin"]) canvas.addEventListener(name, light);
  desk.on("syllabus", draw);
  const key = h(
    "p",
    { class: "studium-note" },
    Object.keys(SIGNS)
      .map((state) => `${SIGNS[state]} ${WORDS[state]}`)
      .join("   "),
  );
  const large = button("Open the large map", () => desk.openMap());
  return { element: h("div", { class: "studium-map-page" }, h("div", { class: "studium-row" }, key, large), canvas) };
}

/** A lesson on a map: its sign, title and count; its ground is filled up to `filled`, a CSS length. */
export function nodeOf(desk, topic, filled = null) {
  const { right, of } = done(topic);
  const titles = topic.needs.map((need) => desk.topics.find((one) => one.slug === need)?.title ?? need);
  const after = titles.length ? `, after ${titles.join(" and ")}` : "";
  const node = h(
    "button",
    {
      type: "button",
      class: `studium-node studium-${topic.status}`,
      "data-slug": topic.slug,
      title: topic.title,
      onclick: () => desk.open(topic),
    },
    h("span", { class: "studium-sign", "aria-hidden": "true" }, SIGNS[topic.status]),
    h("span", { class: "studium-title" }, topic.title),
    h("span", { class: "studium-note" }, `${right} of ${of}`),
    h("span", { class: "studium-hidden" }, `, ${WORDS[topic.status]}${after}. Open it`),
  );
  if (filled !== null) node.style.setProperty("--studium-filled", filled);
  return node;
}

// From the middle of one row to that of another: the further apart, the further out.
function arc(from, to, rows) {
  const out = GUTTER - 8 - (GUTTER - 14) * Math.sqrt((to - from) / rows);
  const [y1, y2] = [from, to].map((row) => ROW * (row + 0.5));
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${GUTTER} ${y1 + 5} C${out} ${y1 + 5} ${out} ${y2 - 5} ${GUTTER} ${y2 - 5}`);
  return path;
}
