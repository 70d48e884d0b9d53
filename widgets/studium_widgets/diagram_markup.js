// The parts of an SVG that a diagram may have. What is on no list is left behind, for a saved notebook may hold anything.
import { uniqueName } from "./controls/element.js";

const SVG = "http://www.w3.org/2000/svg";
const LARGEST = 65536; // characters
const HEADS = ["learned", "wrong", "right", "frozen", "context"]; // an arrow's head has the colour of its line

export const ELEMENTS = [
  "svg",
  "title",
  "desc",
  "g",
  "rect",
  "circle",
  "ellipse",
  "line",
  "polyline",
  "polygon",
  "path",
  "text",
  "tspan",
];
export const ATTRIBUTES = [
  ...["class", "viewBox", "x", "y", "width", "height", "rx", "ry", "cx", "cy", "r", "x1", "y1", "x2", "y2", "dx", "dy"],
  ...["d", "points", "transform", "text-anchor", "dominant-baseline", "textLength"],
];
export const CLASSES = [
  ...["title", "label", "small", "maths", "sub", "on"],
  ...["box", "data", "learned", "wrong", "right", "frozen", "context", "fill"],
  ...["line", "arrow", "dashed"],
];

/** {element, title, description, width, texts: [{text, drawn}]} of a diagram's text; `element` holds what the lists allow. */
export function readDiagram(text) {
  const root = parsed(text);
  const [, , width, height] = (root.getAttribute("viewBox") ?? "")
    .trim()
    .split(/[\s,]+/)
    .map(Number);
  if (!(width > 0 && height > 0 && width < 1e4 && height < 1e4)) throw new Error("a diagram needs a viewBox");
  const element = copied(root);
  pointed(element);
  const texts = [...element.querySelectorAll("text")].map((one) => ({
    text: words(one),
    drawn: [...one.classList].join(", ") || "label",
  }));
  return { element, title: words(child(root, "title")), description: words(child(root, "desc")), width, texts };
}

function parsed(text) {
  if (text.length > LARGEST) throw new Error("a diagram needs a smaller file");
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (root.localName !== "svg" || root.namespaceURI !== SVG || root.querySelector("parsererror"))
    throw new Error("a diagram needs well-formed SVG");
  return root;
}

const child = (root, name) => [...root.children].find((part) => part.localName === name);
const words = (part) => (part?.textContent ?? "").replace(/\s+/g, " ").trim();

function copied(node) {
  const made = document.createElementNS(SVG, node.localName);
  for (const { name, value } of node.attributes)
    if (ATTRIBUTES.includes(name)) made.setAttribute(name, name === "class" ? known(value) : value);
  for (const part of node.childNodes) {
    if (part.nodeType === Node.TEXT_NODE) made.append(part.nodeValue);
    else if (
      part.namespaceURI === SVG &&
      ELEMENTS.includes(part.localName) &&
      !["svg", "title", "desc"].includes(part.localName)
    )
      made.append(copied(part));
  }
  return made;
}

const known = (value) =>
  value
    .split(/\s+/)
    .filter((name) => CLASSES.includes(name))
    .join(" ");

// One head for each colour that an arrow of this diagram has.
function pointed(element) {
  const made = new Map();
  const defs = document.createElementNS(SVG, "defs");
  for (const arrow of element.querySelectorAll(".arrow")) {
    const colour = HEADS.find((name) => arrow.classList.contains(name)) ?? "";
    if (!made.has(colour)) made.set(colour, head(colour, defs));
    arrow.setAttribute("marker-end", `url(#${made.get(colour)})`);
  }
  if (made.size) element.prepend(defs);
}

function head(colour, defs) {
  const marker = document.createElementNS(SVG, "marker");
  const id = uniqueName("arrow");
  const size = {
    id,
    viewBox: "0 0 10 10",
    refX: 9,
    refY: 5,
    markerWidth: 10,
    markerHeight: 10,
    markerUnits: "userSpaceOnUse",
    orient: "auto-start-reverse",
  };
  for (const [name, value] of Object.entries(size)) marker.setAttribute(name, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", "M0 0.5 10 5 0 9.5z");
  path.setAttribute("class", `st-arrow-head ${colour}`.trim());
  marker.append(path);
  defs.append(marker);
  return id;
}
