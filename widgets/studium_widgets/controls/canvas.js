import { h, suppress } from "./element.js";

/** A focusable canvas that is sharp on every screen. `label` is what a screen reader calls it. */
export function canvas(label) {
  const roles = { role: "application", "aria-roledescription": "interactive picture", "aria-label": label };
  const element = h("canvas", { tabindex: 0, ...roles, ...suppress });
  return { element, fit: (width, height) => fit(element, width, height) };
}

/** Clears the canvas to `width` × `height` CSS pixels; gives the context to draw on, in CSS pixels. */
export function fit(element, width, height) {
  const scale = window.devicePixelRatio || 1;
  const [w, k] = [Math.round(width * scale), Math.round(height * scale)];
  if (element.width !== w || element.height !== k) {
    Object.assign(element, { width: w, height: k });
    Object.assign(element.style, { width: `${width}px`, height: `${height}px` });
  }
  const context = element.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** `text`, cut with an ellipsis to fit `width` in the context's font. */
export function shorten(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
}
