// A Binder ends a session after some minutes in which nothing happens. Somebody who reads should hear of it before.

const SIGNS = ["keydown", "pointerdown", "wheel"];

export function watchIdle(desk) {
  if (!/(^|\.)mybinder\.org$|(^|\.)binder\./.test(location.hostname)) return;
  let timer = 0;
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(warn, desk.settings.get("idleMinutes") * 60_000);
  };
  const warn = () => {
    const text =
      "This Binder ends soon if nothing happens. Your progress is stored in this browser; save the notebook if you changed it.";
    desk.Notification?.warning(text, {
      autoClose: false,
      actions: [{ label: "I am still here", callback: () => desk.load() }],
    });
  };
  const options = { passive: true, capture: true, signal: desk.end.signal };
  SIGNS.forEach((sign) => document.addEventListener(sign, again, options));
  again();
}
