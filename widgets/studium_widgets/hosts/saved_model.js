// The state of a picture that has no kernel: what a widget's `model` is in a live notebook.

/**
 * get, set, on, off and save_changes over `state`, pairs of name and value; `describe`, for want of Python's `alt`; and
 * `changes`, what differs from the first state.
 */
export class SavedModel {
  #first;
  #state;
  #listeners = new Map();
  #moved = false;

  constructor(state) {
    this.#first = new Map(state);
    this.#state = new Map(state);
  }

  /** {name: value} of what is not as it was at first. */
  changes() {
    const changed = ([name, value]) => !name.startsWith("_") && value !== this.#first.get(name);
    return Object.fromEntries([...this.#state].filter(changed));
  }

  get(name) {
    return this.#state.get(name);
  }

  set(name, value) {
    if (this.get(name) === value) return;
    this.#moved = true;
    this.#state.set(name, value);
    this.#tell(`change:${name}`);
    this.#tell("change");
  }

  /** What the picture says of itself is its alternative text, once somebody has moved it. */
  describe(sentence) {
    if (!this.#moved) return;
    this.#state.set("_alt", sentence);
    this.#tell("change:_alt");
  }

  #tell(event) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener();
  }

  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
  }

  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }

  save_changes() {} // there is no kernel to tell

  send() {}
}
