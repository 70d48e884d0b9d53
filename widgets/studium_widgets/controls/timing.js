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

/** Calls `action` at once; while calls go on, every `most` ms; and once more when there was none for `rest` ms. */
export function throttle(action, { rest, most }, signal) {
  let [timer, called, acted, again] = [0, -Infinity, -Infinity, false];
  const run = () => {
    [again, acted] = [false, performance.now()];
    action();
  };
  const flush = () => {
    clearTimeout(timer);
    if (again) action();
  };
  signal.addEventListener("abort", flush, { once: true });
  return () => {
    if (signal.aborted) return;
    const now = performance.now();
    const begins = now - called > rest;
    [again, called] = [true, now];
    clearTimeout(timer);
    if (begins || now - acted >= most) run();
    else timer = setTimeout(run, Math.min(rest, most - (now - acted)));
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
