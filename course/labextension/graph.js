// The large map: topics in columns, each to the right of all that it needs, and in the colour of its track.
import { done } from "./images.js";
import { h } from "./element.js";
import { nodeOf } from "./map.js";

const [WIDTH, HEIGHT, GAP_X, GAP_Y] = [138, 58, 20, 8];
const COLOURS = 7; // in desk.css
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

export function graphView(desk) {
  const canvas = h("div", { class: "studium-graph" });
  const key = h("ul", { class: "studium-key", "aria-label": "Tracks" });
  const draw = () => {
    if (!desk.syllabus) return;
    const { tracks } = desk.syllabus;
    const colour = new Map(
      tracks.flatMap(({ topics }, i) => topics.map(({ slug }) => [slug, `studium-track-${i % COLOURS}`])),
    );
    key.replaceChildren(...tracks.map(({ title }, i) => h("li", { class: `studium-track-${i % COLOURS}` }, title)));
    const places = layout(desk.topics);
    const lines = document.createElementNS(SVG, "svg");
    for (const [name, value] of Object.entries({ "aria-hidden": "true", width: places.width, height: places.height }))
      lines.setAttribute(name, value);
    for (const topic of desk.topics)
      for (const need of topic.needs)
        lines.append(...edge(places.at.get(need), places.at.get(topic.slug), colour.get(need)));
    const nodes = desk.topics.map((topic) => {
      const [x, y] = places.at.get(topic.slug);
      const node = nodeOf(desk, topic, `${Math.round(100 * done(topic).share)}%`);
      node.classList.add(colour.get(topic.slug));
      Object.assign(node.style, { left: `${x}px`, top: `${y}px`, width: `${WIDTH}px`, height: `${HEIGHT}px` });
      return h("li", {}, node);
    });
    Object.assign(canvas.style, { width: `${places.width}px`, height: `${places.height}px` });
    canvas.replaceChildren(lines, h("ul", { "aria-label": "Topics, by what comes first" }, nodes));
  };
  desk.on("syllabus", draw);
  draw();
  return h(
    "div",
    {},
    key,
    h("div", { class: "studium-scroll", tabindex: 0, role: "group", "aria-label": "Map of the topics" }, canvas),
  );
}

// In a column, each topic is as near as may be to the mean height of what it needs, so that few lines cross.
function layout(topics) {
  const column = columns(topics);
  const filled = [];
  for (const topic of topics) (filled[column.get(topic.slug)] ??= []).push(topic);
  const at = new Map();
  filled.forEach((members, x) => {
    const mean = ({ needs }) => {
      const heights = needs.flatMap((need) => at.get(need)?.[1] ?? []);
      return heights.reduce((sum, y) => sum + y, 0) / (heights.length || 1);
    };
    members.sort((a, b) => mean(a) - mean(b));
    members.forEach(({ slug }, y) => at.set(slug, [x * (WIDTH + GAP_X) + 4, y * (HEIGHT + GAP_Y) + 4]));
  });
  const rows = Math.max(1, ...filled.map((members) => members.length));
  return { at, width: filled.length * (WIDTH + GAP_X) - GAP_X + 8, height: rows * (HEIGHT + GAP_Y) + 8 };
}

function edge(from, to, colour) {
  if (!from || !to) return [];
  const [x1, y1, x2, y2] = [from[0] + WIDTH, from[1] + HEIGHT / 2, to[0], to[1] + HEIGHT / 2];
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("class", colour);
  path.setAttribute("d", `M${x1} ${y1} C${x1 + 18} ${y1} ${x2 - 18} ${y2} ${x2} ${y2}`);
  return [path];
}
