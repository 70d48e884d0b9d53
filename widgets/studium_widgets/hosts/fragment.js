// A picture's state as the fragment of an address and back: what differs from the saved state, as name=JSON.
import { asJson } from "./live.js";
import { findProblem } from "./rules.js";

/** `changes`, {name: value}, as the fragment of an address; "" where nothing has changed. */
export function toFragment(changes) {
  const spelt = ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(JSON.stringify(asJson(value)))}`;
  return Object.entries(changes).map(spelt).join("&");
}

/** The changes in a fragment. Throws an Error with half a sentence if it has none, or if `saved` with them breaks the rules. */
export function fromFragment(fragment, saved, rules) {
  const changes = Object.fromEntries(fragment.split("&").filter(Boolean).map(parsed));
  const unknown = Object.keys(changes).find((name) => !Object.hasOwn(rules, name));
  const problem =
    unknown === undefined
      ? findProblem({ ...saved, ...changes }, rules)
      : `it needs the name of a state, got ${unknown}`;
  if (problem) throw new Error(problem);
  return changes;
}

function parsed(pair) {
  const [name, ...rest] = pair.split("=");
  try {
    return [decodeURIComponent(name), JSON.parse(decodeURIComponent(rest.join("=")))];
  } catch {
    throw new Error(`it needs a name and a value in JSON, such as t=7, got ${pair.slice(0, 40)}`);
  }
}
