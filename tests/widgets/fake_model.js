// What a widget sees of a notebook: a model with get, set, on, off and save_changes, and no kernel behind it.
class Model {
  constructor(state) {
    Object.assign(this, { state, listeners: new Map(), saved: [] });
  }
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    if (this.state[name] === value) return;
    this.state[name] = value;
    for (const event of [`change:${name}`, "change"]) {
      for (const listener of [...(this.listeners.get(event) ?? [])]) listener();
    }
  }
  on(event, listener) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event).add(listener);
  }
  off(event, listener) {
    this.listeners.get(event)?.delete(listener);
  }
  save_changes() {
    this.saved.push({ at: performance.now(), state: { ...this.state } });
  }
  get listening() {
    return [...this.listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }
}

// Base64 text becomes the DataView that a live front end hands over.
function live(value) {
  if (Array.isArray(value)) return value.map(live);
  if (value === null || typeof value !== "object") return value;
  if (value.dtype && typeof value.data === "string") {
    const bytes = Uint8Array.from(atob(value.data), (c) => c.charCodeAt(0));
    return { ...value, data: new DataView(bytes.buffer) };
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, live(item)]));
}

window.views = [];

// Adds one view to the page as a notebook would: the module comes from a Blob URL.
window.mountWidget = async ({ esm, css, state, kernel }) => {
  const style = document.head.appendChild(document.createElement("style"));
  style.textContent = css;
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const module = (await import(url)).default;
  const model = new Model(kernel ? live(state) : state);
  const el = document.createElement("div");
  const controller = new AbortController();
  await module.render({ model, el, signal: controller.signal });
  await new Promise(requestAnimationFrame);
  document.querySelector("main").append(el); // only now, as JupyterLab does
  window.views.push({ model, el, abort: () => controller.abort() });
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
};
