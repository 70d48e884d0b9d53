// What a host without a kernel needs besides a widget's view: its state from a notebook, which may hold anything.
import { h } from "../controls/element.js";
import { fromFragment, toFragment } from "./fragment.js";
import { live } from "./live.js";
import { findProblem, isObject } from "./rules.js";
import { SavedModel } from "./saved_model.js";

const VERSION = 1; // of the data that a notebook keeps
const LARGEST = 24e6; // characters of JSON, as in base.py

/**
 * {render, show}: `render` as in live.js. `show(element, snapshot, signal)` puts the picture of a snapshot into `element`,
 * or, whatever else `snapshot` is, one sentence that says why it cannot. It returns null then, and otherwise
 *
 * - `fragment()`: what differs from the snapshot, as the fragment of an address;
 * - `restore(fragment)`: shows the snapshot with these differences. Throws an Error with half a sentence if it cannot;
 * - `onChange(listener)`: listens to every change of the state.
 */
export function saved(view, { name, style, rules }) {
  const { render } = live(view, { name, style, state: Object.keys(rules) });
  const show = (element, snapshot, signal) => {
    const problem = findFault(snapshot, name) || findProblem(snapshot.state, rules);
    if (problem) return refuse(element, `This saved picture cannot be shown: ${problem}.`);
    const state = Object.keys(rules).map((key) => [key, snapshot.state[key]]);
    const model = new SavedModel([...state, ["_alt", snapshot.alt]]);
    render({ model, el: element, signal });
    const restore = (fragment) => {
      const wanted = { ...snapshot.state, ...fromFragment(fragment, snapshot.state, rules) };
      for (const [key] of state) model.set(key, wanted[key]);
    };
    return {
      fragment: () => toFragment(model.changes()),
      restore,
      onChange: (listener) => model.on("change", listener),
    };
  };
  return { render, show };
}

function refuse(element, sentence) {
  element.replaceChildren(h("p", { class: "st-failure", role: "alert" }, sentence));
  return null;
}

function findFault(snapshot, name) {
  if (!isObject(snapshot) || !isObject(snapshot.state)) return "it needs a name and a state, got neither";
  if (snapshot.version !== VERSION)
    return `it needs data of version ${VERSION}, got another: update Studium or run the cell again`;
  if (snapshot.widget !== name) return `it needs the widget ${name}, got another`;
  if (typeof snapshot.alt !== "string" || snapshot.alt.length > 2000) return "it needs a sentence that describes it";
  return isTooLarge(snapshot.state) ? `it needs at most ${LARGEST / 1e6} MB of state, got more` : "";
}

// Counts characters about as JSON has them, without a recursion that a deep state could exhaust.
function isTooLarge(state) {
  const waiting = [state];
  let size = 0;
  while (waiting.length && size <= LARGEST) {
    const value = waiting.pop();
    if (typeof value === "string") size += value.length;
    if (typeof value !== "object" || value === null) continue;
    const items = Object.values(value);
    size += 2 * items.length + (Array.isArray(value) ? 0 : Object.keys(value).join("").length);
    if (size <= LARGEST) items.forEach((item) => waiting.push(item));
  }
  return size > LARGEST;
}
