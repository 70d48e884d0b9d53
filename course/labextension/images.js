// One image for each lesson: its first diagram without its words, in the colours of the page. What is learned colours it.
import { h } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const PALETTE = {
  light: {
    text: "#1d232b",
    muted: "#5a6470",
    raised: "#eef1f5",
    surface: "#ffffff",
    accent: "#0068a8",
    warm: "#b84a00",
    right: "#007a57",
  },
  dark: {
    text: "#e9edf2",
    muted: "#a3adb9",
    raised: "#262c34",
    surface: "#14171c",
    accent: "#5cb8f0",
    warm: "#ff9d57",
    right: "#05e2ad",
  },
};

const isDark = () => document.body.dataset.jpThemeLight === "false";

// The classes of docs/diagrams.md, as an image by itself knows no other style.
function style({ text, muted, raised, surface, accent, warm, right }) {
  const part = (name, colour) =>
    `.${name}{fill:color-mix(in srgb,${colour} 30%,${surface});stroke:${colour}}.${name}.fill{fill:${colour}}`;
  return (
    `svg{fill:none;stroke:${muted};stroke-width:3}text{display:none}.box{fill:${raised};stroke:${muted}}.data{fill:${surface};stroke:${text}}` +
    part("learned", accent) +
    part("wrong", warm) +
    part("right", right) +
    part("frozen", muted) +
    part("context", muted) +
    `.line,.arrow{fill:none !important;stroke-width:4}.fill{fill:${muted}}.dashed{stroke-dasharray:9 7}`
  );
}

/** The address of an image of the SVG text `svg`, "" where it cannot be read. */
function address(svg) {
  const { documentElement: root } = new DOMParser().parseFromString(svg, "image/svg+xml");
  if (root.localName !== "svg") return "";
  const look = document.createElementNS(SVG, "style");
  look.textContent = style(PALETTE[isDark() ? "dark" : "light"]);
  root.prepend(look);
  return `data:image/svg+xml;utf8,${encodeURIComponent(new XMLSerializer().serializeToString(root))}`;
}

let asked = null; // one question for all views

/** Shows an image of `topic`, of which the share 0 to 1 is in colour; nothing where the lesson has none. */
export function lessonImage(desk, topic, share) {
  const [grey, colour] = ["studium-image-grey", "studium-image-colour"].map((name) =>
    h("img", { class: name, alt: "" }),
  );
  colour.style.clipPath = `inset(${100 - 100 * share}% 0 0 0)`;
  const element = h("span", { class: "studium-image", "aria-hidden": "true" });
  asked ??= desk.tried(desk.api.get("images"));
  asked.then((answer) => {
    const svg = answer?.images[topic.slug];
    if (!svg) return;
    grey.src = colour.src = address(svg);
    element.append(grey, colour);
  });
  return element;
}

/** How much of a lesson is done, by its exercises that are not optional: {right, of, share}. */
export function done(topic) {
  const core = topic.exercises.filter((one) => !one.optional);
  const right = core.filter((one) => one.status === "right").length;
  const over = core.filter((one) => one.status === "right" || one.status === "revealed").length;
  return { right, of: core.length, share: core.length ? over / core.length : 0 };
}
