// A picture that moves begins when it comes into view, and not before: a page may hold several.

/** Calls `action` once, as soon as a part of `element` can be seen. */
export function whenSeen(ui, element, action) {
  const watch = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && (watch.disconnect(), action()));
  watch.observe(element);
  ui.signal.addEventListener("abort", () => watch.disconnect(), { once: true });
}
