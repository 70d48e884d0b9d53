// The notebook's own view of a live widget, and whether there is one.

const LIVE = "application/vnd.jupyter.widget-view+json";
const PATIENCE = 3000; // ms in which the kernel may still tell of a widget

/**
 * The notebook's renderer of the output's live widget, at work; null where the notebook has none or may not run it.
 * `changed(there)` is called when the view comes, goes, or turns out not to be there.
 */
export function liveView(registry, model, changed) {
  if (!model.trusted || !model.data[LIVE] || !registry?.getFactory(LIVE)) return null;
  const renderer = registry.createRenderer(LIVE);
  let waiting = true;
  const look = () => {
    const there = renderer.widgets.length > 0;
    const failed = renderer.hasClass("jupyter-widgets"); // "model not found", in every notebook that was closed once
    if (there || failed || !waiting) changed(there);
  };
  const watch = new MutationObserver(look);
  const timer = setTimeout(() => {
    waiting = false;
    look();
  }, PATIENCE);
  watch.observe(renderer.node, { childList: true });
  renderer.disposed.connect(() => {
    watch.disconnect();
    clearTimeout(timer);
  });
  renderer.renderModel(model);
  return renderer;
}
