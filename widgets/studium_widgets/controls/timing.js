// When to draw and when to save.

/** Calls `action` once in the next animation frame, however often the returned function is called before it. */
export function inFrame(action, signal) {
  let frame = 0;
  const run = () => {
    frame = 0;
    action();
  };
  signal.addEventListener("abort", () => cancelAnimationFrame(frame), { once: true });
  return () => {
    if (!signal.aborted) frame ||= requestAnimationFrame(run);
  };
}

/** Calls `action` at once, then at most every `wait` ms, and once more after the last call. */
export function throttle(action, wait, signal) {
  let timer = 0;
  let again = false;
  const run = () => {
    again = false;
    action();
    timer = setTimeout(() => {
      timer = 0;
      if (again) run();
    }, wait);
  };
  const flush = () => {
    clearTimeout(timer);
    if (again) action();
  };
  signal.addEventListener("abort", flush, { once: true });
  return () => {
    again = true;
    if (!timer && !signal.aborted) run();
  };
}

/** Calls `action` with the latest arguments once `wait` ms have passed without a call. */
export function settle(action, wait, signal) {
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  return (...latest) => {
    clearTimeout(timer);
    if (!signal.aborted) timer = setTimeout(() => action(...latest), wait);
  };
}
