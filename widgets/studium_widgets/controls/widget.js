// The frame of every widget: state, drawing, saving, theme, and an end that leaves nothing behind.
import { decode } from "./arrays.js";
import { h, suppress } from "./element.js";
import { saveButton } from "./save_image.js";
import { summary } from "./summary.js";
import { watchTheme } from "./theme.js";
import { inFrame, throttle } from "./timing.js";

// ms. Jupyter draws its own signs of a busy kernel at each message: ten a second would cost a drag one frame in ten.
const SAVING = { rest: 100, most: 1000 };

/**
 * A widget's view, for every host (hosts/live.js). `setup(ui)` builds one view and gives the function that draws it, which
 * is called in each frame before which state, size or theme changed. `ui` has
 *
 * - `get(name)`, `set(name, value)`: the state. What is set reaches Python, other views and the saved notebook.
 * - `pretend(name, value)`: `get` answers with this value until `pretend(name)`; nothing is saved (demonstration.js).
 * - `array(name)`: {data, shape} of an `Array` of the state; null where there is none.
 * - `on(name, listener)`: listens to one name of the state, with "" to all, until the view ends.
 * - `controls(...elements)`: puts them above the picture: the one or two that carry its idea. `more(...elements)`: puts all
 *   others there below a line *More* that opens. `invite(sentence)`: a line above them, "Try: …", that says what to do and
 *   what to watch.
 * - `add(...elements)`: puts them into the picture, and a `details` below its sentence.
 * - `say(sentence)`: what the picture shows, under it and for screen readers. Say it in each frame.
 * - `redraw()`: draws in the next frame.
 * - `theme`: the colours in force (`text`, `muted`, `line`, `surface`, `raised`, `accent`, `warm`, `right`, `series`), `dark`, `font`.
 * - `still`: whether the reader wants less motion. `widthOf(element)`: its inner width in px, 0 while it is not shown.
 * - `signal`: an AbortSignal that aborts when the view ends. Give it to each listener of your own, and stop timers then.
 * - `element`: the whole view. `model`: the state as the host has it.
 */
export function widget(setup) {
  return { render: ({ model, el, signal }) => start(setup, model, el, signal) };
}

function start(setup, model, el, signal) {
  const { element, controls, opener, stage, say } = frame(model, signal);
  el.append(element);
  signal.addEventListener("abort", () => element.remove(), { once: true });
  let draw = () => {};
  const redraw = inFrame(() => guarded(element, draw), signal);
  const { widthOf, resized } = widths(redraw);
  const ui = /** @type {any} */ ({ ...state(model, signal), element, signal, redraw, say, widthOf });
  ui.theme = watchTheme(element, signal, redraw);
  const save = saveButton(ui, model.get("_caption"), { picture: () => stage, failed: say });
  if (save) element.append(save);
  ui.controls = (...parts) => controls.append(...parts);
  ui.more = opener.add;
  ui.invite = opener.invite;
  ui.add = (...more) => more.forEach((part) => (part.matches("details") ? element : stage).append(part));
  Object.defineProperty(ui, "still", { get: () => matchMedia("(prefers-reduced-motion: reduce)").matches });
  guarded(element, () => (draw = setup(ui) ?? draw));
  ui.on("", redraw);
  observeSize(element, { attached: ui.theme.read, resized }, signal);
  redraw();
}

function frame(model, signal) {
  const { elements, say } = summary(signal, (sentence) => model.describe?.(sentence));
  const controls = h("div", { class: "st-controls" });
  const opener = opening();
  const stage = h("div", { class: "st-stage" });
  const element = h(
    "section",
    { class: "studium", "aria-label": model.get("_alt") },
    opener.line,
    controls,
    opener.rest,
    stage,
    ...elements,
  );
  const relabel = () => element.setAttribute("aria-label", model.get("_alt"));
  listen(model, "change:_alt", relabel, signal);
  return { element, controls, opener, stage, say };
}

// What a reader sees first, and what is folded away: the line "Try: …", and the controls below *More*.
function opening() {
  const line = h("p", { class: "st-try", hidden: true });
  const folded = h("div", { class: "st-controls" });
  const rest = h("details", { class: "st-more", hidden: true }, h("summary", { ...suppress }, "More"), folded);
  const invite = (sentence) => Object.assign(line, { hidden: false }).replaceChildren(h("b", {}, "Try: "), sentence);
  const add = (...parts) => {
    folded.append(...parts);
    rest.hidden = !folded.childElementCount;
  };
  return { line, rest, add, invite };
}

// get, set, pretend, array, on: the widget's state. A change that comes from Python and one made here look the same.
function state(model, signal) {
  const save = throttle(() => model.save_changes(), SAVING, signal);
  const [decoded, pretended, listeners] = [new Map(), new Map(), []];
  const pretend = (name, value) => {
    if (value === undefined ? !pretended.delete(name) : pretended.get(name) === value) return;
    if (value !== undefined) pretended.set(name, value);
    for (const [heard, listener] of listeners) if (!heard || heard === name) listener();
  };
  return {
    model,
    pretend,
    get: (name) => pretended.get(name) ?? model.get(name),
    set(name, value) {
      if (model.get(name) === value) return;
      model.set(name, value);
      save();
    },
    array(name) {
      const wire = model.get(name);
      if (decoded.get(name)?.wire !== wire) decoded.set(name, { wire, array: decode(wire) });
      return decoded.get(name).array;
    },
    on(name, listener) {
      listeners.push([name, listener]);
      listen(model, name ? `change:${name}` : "change", listener, signal);
    },
  };
}

/** Listens to a model until the signal aborts. */
export function listen(model, event, listener, signal) {
  model.on(event, listener);
  signal.addEventListener("abort", () => model.off(event, listener), { once: true });
}

// The inner width of an element, in px and 0 while it is not shown, is read once for each width of the view: to read it
// while a frame is drawn makes the page lay out at once what was written so far, and again what is written later.
function widths(redraw) {
  let known = new Map();
  const widthOf = (element) => {
    if (!known.get(element)) known.set(element, element?.clientWidth ?? 0);
    return known.get(element);
  };
  const resized = () => {
    known = new Map();
    redraw();
  };
  return { widthOf, resized };
}

// JupyterLab puts the element on the page only after `render`: until then it has neither a width nor computed colours.
function observeSize(element, { attached, resized }, signal) {
  let width = 0;
  const sizes = new ResizeObserver(([entry]) => {
    if (entry.contentRect.width === width) return;
    if (width === 0) attached();
    width = entry.contentRect.width;
    resized();
  });
  sizes.observe(element);
  signal.addEventListener("abort", () => sizes.disconnect(), { once: true });
}

// A picture that fails says so in its place; the console has the stack. What the engine says of it is no reader's language.
function guarded(element, action) {
  try {
    action();
  } catch (error) {
    console.error(error);
    const sentence = error.constructor === Error ? error.message : "what is in it does not fit together";
    element.replaceChildren(h("p", { class: "st-failure", role: "alert" }, `This picture failed: ${sentence}.`));
  }
}
