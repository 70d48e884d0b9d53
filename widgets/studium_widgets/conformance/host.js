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

const load = (source) => import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));

async function add(render, model) {
  const el = document.createElement("div");
  const controller = new AbortController();
  await render(el, controller.signal);
  await new Promise(requestAnimationFrame);
  document.querySelector("main").append(el); // only now, as JupyterLab does
  window.views.push({ model, el, abort: () => controller.abort() });
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}

// One more view, as a notebook with a kernel has it.
window.mountWidget = async ({ source, state }) => {
  const { render } = (await load(source)).default;
  const model = new Model(live(state));
  await add((el, signal) => render({ model, el, signal }), model);
};

// One more view, as a host without a kernel has it: from the snapshot alone.
window.mountSaved = async ({ source, snapshot }) => {
  const { show } = (await load(source)).default;
  await add((el, signal) => show(el, snapshot, signal), null);
};
