// The renderer of a widget's output: the live view where there is one, else the picture as it was saved.
import { SAVED, withChange } from "./keeping.js";
import { liveView } from "./live_view.js";
import { loadFirst, moduleLoader } from "./source.js";

const RANK = -20; // the live view has -10, and the lowest is asked first

/** The extension that JupyterLab takes: one renderer, of data that may come from anywhere. */
export function extension({ Panel, ServerConnection }) {
  const load = moduleLoader(ServerConnection);
  loadFirst(ServerConnection, load).catch(() => {}); // the picture's place asks again, and says what is wrong
  const Output = outputClass(Panel, load);
  const rendererFactory = { safe: true, mimeTypes: [SAVED], createRenderer: () => new Output() };
  return { id: "studium-widgets:renderer", rendererFactory, rank: RANK, dataType: "json" };
}

const outputClass = (Panel, load) =>
  class Output extends Panel {
    #model = null;
    #live = null; // the renderer of the live view
    #saved = null; // {element, end} of the saved picture
    #keeping = false;

    constructor() {
      super();
      this.node.addEventListener("studium-change", (event) => this.#keep(event.detail));
    }

    async renderModel(model) {
      const again = this.#saved && isSame(model.data[SAVED], this.#model.data[SAVED]);
      const stays = this.#keeping || again; // what a reader has moved since stays moved
      if (!stays) this.#endSaved();
      this.#model = model;
      if (!stays && this.isAttached) this.#start();
    }

    // Only now is it known in which notebook the output stands.
    onAfterAttach(message) {
      super.onAfterAttach(message);
      if (!this.#live && !this.#saved) this.#start();
    }

    dispose() {
      this.#endSaved();
      super.dispose();
    }

    #start() {
      if (this.#live?.widgets.length) return; // another view of the notebook has kept a change
      this.#live?.dispose();
      this.#live = liveView(registryOf(this), this.#model, (there) => this.#choose(there));
      if (this.#live) this.addWidget(this.#live);
      else this.#showSaved();
    }

    #choose(there) {
      this.#live.setHidden(!there);
      if (there) this.#endSaved();
      else if (!this.#saved) this.#showSaved();
    }

    #endSaved() {
      this.#saved?.end.abort(); // by which it tells of a change that it still holds
      this.#saved?.element.remove();
      this.#saved = null;
    }

    async #showSaved() {
      this.#endSaved();
      const saved = { element: document.createElement("div"), end: new AbortController() };
      this.#saved = saved;
      this.node.append(saved.element);
      const data = this.#model.data[SAVED];
      try {
        const module = await load(data?.widget);
        if (!saved.end.signal.aborted) module.show(saved.element, data, saved.end.signal);
      } catch (error) {
        say(saved.element, `This saved picture cannot be shown: ${error.message}.`);
      }
    }

    async #keep(change) {
      const model = this.#model;
      const data = await withChange(model.data, change);
      if (!data || model !== this.#model) return; // the cell was run again
      this.#keeping = true;
      model.setData({ data });
      this.#keeping = false;
    }
  };

const isSame = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);

// The registry of the notebook or console around an output, which knows its kernel's widgets.
function registryOf(output) {
  let holder = output.parent;
  while (holder && !holder.rendermime) holder = holder.parent;
  return holder?.rendermime;
}

function say(element, sentence) {
  const line = document.createElement("p");
  line.setAttribute("role", "alert");
  line.textContent = sentence;
  element.replaceChildren(line);
}
