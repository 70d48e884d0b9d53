// The graph of prerequisites: topics in columns, each to the right of all that it needs.
import { h } from "./element.js";

const [WIDTH, HEIGHT, GAP_X, GAP_Y] = [132, 36, 28, 12];
const SVG = "http://www.w3.org/2000/svg";

/** The column of each topic: one more than the largest of those that it needs and that are there. Map slug → number. */
export function columns(topics) {
  const known = new Map(topics.map((topic) => [topic.slug, topic]));
  const found = new Map();
  const of = (slug, seen) => {
    if (found.has(slug)) return found.get(slug);
    const needs = known.get(slug).needs.filter((need) => known.has(need) && !seen.has(need));
    const column = needs.length ? 1 + Math.max(...needs.map((need) => of(need, new Set([...seen, slug])))) : 0;
    found.set(slug, column);
    return column;
  };
  topics.forEach((topic) => of(topic.slug, new Set()));
  return found;
}

export function mapView(desk) {
  const canvas = h("div", { class: "studium-map" });
  const draw = () => {
    const places = layout(desk.topics);
    const lines = document.createElementNS(SVG, "svg");
    lines.setAttribute("aria-hidden", "true");
    lines.setAttribute("width", places.width);
    lines.setAttribute("height", places.height);
    for (const topic of desk.topics) for (const need of topic.needs) lines.append(...edge(places.at.get(need), places.at.get(topic.slug)));
    const nodes = desk.topics.map((topic) => node(desk, topic, places.at.get(topic.slug)));
    canvas.style.height = `${places.height}px`;
    canvas.replaceChildren(lines, h("ul", { "aria-label": "Topics, by what comes first" }, nodes));
  };
  desk.on("syllabus", draw);
  return { element: h("div", { class: "studium-scroll", tabindex: 0, role: "group", "aria-label": "Map of the topics" }, canvas) };
}

function layout(topics) {
  const column = columns(topics);
  const filled = [];
  const at = new Map();
  for (const topic of topics) {
    const x = column.get(topic.slug);
    const y = (filled[x] ??= 0);
    filled[x] += 1;
    at.set(topic.slug, [x * (WIDTH + GAP_X) + 4, y * (HEIGHT + GAP_Y) + 4]);
  }
  return { at, width: filled.length * (WIDTH + GAP_X), height: Math.max(1, ...filled) * (HEIGHT + GAP_Y) + 8 };
}

function edge(from, to) {
  if (!from || !to) return [];
  const [x1, y1, x2, y2] = [from[0] + WIDTH, from[1] + HEIGHT / 2, to[0], to[1] + HEIGHT / 2];
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${x1} ${y1} C${x1 + 20} ${y1} ${x2 - 20} ${y2} ${x2} ${y2}`);
  return [path];
}

function node(desk, topic, [x, y]) {
  const needs = topic.needs.length ? `, after ${topic.needs.join(" and ")}` : "";
  const label = `${topic.slug}: ${topic.title}, ${topic.status}${needs}. Open it`;
  const style = `left:${x}px; top:${y}px; width:${WIDTH}px; height:${HEIGHT}px`;
  const text = h("span", {}, topic.slug);
  return h("li", {}, h("button", { type: "button", class: `studium-node studium-${topic.status}`, style, "aria-label": label, title: topic.title, onclick: () => desk.open(topic) }, text));
}
