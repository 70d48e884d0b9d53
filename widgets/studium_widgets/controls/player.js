import { h, suppress } from "./element.js";
import { slider } from "./slider.js";

/**
 * Play, and a slider over the whole number `name`. `ends()` → [first, last], where playing starts and stops; the first
 * may be the larger. `duration`: ms from end to end. Where motion is to be reduced, each press goes on by a tenth.
 * `draw()` follows ends that have moved; `stop()` pauses; `all()`: the numbers up to the one in force, from the first, or all
 * where that is the first one, for `demonstrate`. Gives {element, draw, stop, all}.
 * @param {any} ui
 * @param {string} name
 * @param {{label: string, ends: () => number[], duration?: number, format?: (value: any) => string}} options
 */
export function player(ui, name, { label, ends, duration = 6000, format }) {
  const range = slider(ui, name, { label, min: Math.min(...ends()), max: Math.max(...ends()), format });
  const input = range.querySelector("input");
  const button = h("button", { type: "button", class: "st-play", ...suppress }, "Play");
  const { toggle, stop } = playing(ui, name, { ends, duration, button, label });
  button.addEventListener("click", toggle, { signal: ui.signal });
  input.addEventListener("input", stop, { signal: ui.signal });
  const draw = () => {
    const [low, high] = [Math.min(...ends()), Math.max(...ends())];
    Object.assign(input, { min: low, max: high, value: ui.get(name) });
    input.style.setProperty("--st-filled", `${(100 * (input.value - low)) / (high - low || 1)}%`);
  };
  const all = () => {
    const [first, last] = ends();
    const [now, by] = [ui.get(name), Math.sign(last - first)];
    const end = now === first ? last : now;
    return Array.from({ length: Math.abs(end - first) + 1 }, (_, i) => first + by * i);
  };
  return { element: h("div", { class: "st-player" }, button, range), draw, stop, all };
}

function playing(ui, name, { ends, duration, button, label }) {
  let [frame, before, at] = [0, 0, 0];
  const call = (running) => {
    const text = running ? "Pause" : ui.still ? "Step" : "Play";
    Object.assign(button, { textContent: text, ariaLabel: text === label ? text : `${text} ${label}` });
  };
  const stop = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    call(false);
  };
  const move = (share) => {
    const [first, last] = ends();
    at += (last - first) * share;
    const arrived = last < first ? at <= last : at >= last;
    ui.set(name, arrived ? last : Math.round(at));
    return arrived;
  };
  const tick = (now) => {
    const arrived = move(Math.min(100, now - before) / duration);
    before = now;
    if (arrived) stop();
    else frame = requestAnimationFrame(tick);
  };
  const toggle = () => {
    if (frame) return stop();
    const [first, last] = ends();
    at = ui.get(name) === last ? first : ui.get(name);
    if (ui.still) return ui.get(name) === last ? ui.set(name, first) : move(0.1);
    before = performance.now();
    call(true);
    frame = requestAnimationFrame(tick);
  };
  call(false);
  ui.signal.addEventListener("abort", stop, { once: true });
  return { toggle, stop };
}
