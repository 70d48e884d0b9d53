// The state of a picture that has no kernel: what a widget's `model` is in a live notebook.

/** get, set, on, off and save_changes over `state`, pairs of name and value. */
export class SavedModel {
  #state;
  #listeners = new Map();

  constructor(state) {
    this.#state = new Map(state);
  }

  get(name) {
    return this.#state.get(name);
  }

  set(name, value) {
    if (this.get(name) === value) return;
    this.#state.set(name, value);
    for (const event of [`change:${name}`, "change"]) {
      for (const listener of [...(this.#listeners.get(event) ?? [])]) listener();
    }
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
