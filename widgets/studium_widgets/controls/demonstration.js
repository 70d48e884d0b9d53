// What can be moved moves by itself once, so that a reader sees what there is to see before the first touch.
import { listen } from "./widget.js";

const VISIBLE = 0.25; // of the picture
const TOUCHES = ["pointerdown", "keydown", "focusin"];

/**
 * Shows `values()` of the state `name` one after another within `duration` ms, once, when the picture comes into view, and
 * ends with the state as it is. Nothing is saved, the first touch or change ends it, and it does not begin where less
 * motion is wanted.
 */
export function demonstrate(ui, name, values, duration = 2500) {
  let [frame, begun, over] = [0, 0, false];
  const end = () => {
    over = true;
    cancelAnimationFrame(frame);
    ui.pretend(name);
  };
  const show = (all) => (now) => {
    begun ||= now;
    const at = Math.floor((all.length * (now - begun)) / duration);
    if (at >= all.length) return end();
    ui.pretend(name, all[at]);
    frame = requestAnimationFrame(show(all));
  };
  const begin = () => {
    if (!over && !ui.still) frame = requestAnimationFrame(show(values()));
  };
  for (const touch of TOUCHES) ui.element.addEventListener(touch, end, { signal: ui.signal });
  listen(ui.model, "change", end, ui.signal);
  ui.signal.addEventListener("abort", () => cancelAnimationFrame(frame), { once: true });
  whenSeen(ui, ui.element, begin, VISIBLE);
}

/** Calls `action` once, when at least `share` of the element is in view: a page may hold many pictures. */
export function whenSeen(ui, element, action, share = 0) {
  const seen = (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    action();
  };
  const watch = new IntersectionObserver(seen, { threshold: share });
  watch.observe(element);
  ui.signal.addEventListener("abort", () => watch.disconnect(), { once: true });
}
