import { h } from "./element.js";

/** A small box beside a point of `host`, for eyes only: what it says, the summary says too. `show(x, y, lines)`, `hide()`. */
export function tooltip(host) {
  const element = h("div", { class: "st-tooltip", "aria-hidden": "true", hidden: true });
  host.append(element);
  const show = (x, y, lines) => {
    element.replaceChildren(...lines.map((line) => h("div", {}, line)));
    element.hidden = false;
    const [width, height] = [element.offsetWidth, element.offsetHeight];
    const left = x + width + 14 > host.clientWidth ? x - width - 12 : x + 12;
    Object.assign(element.style, { left: `${Math.max(0, left)}px`, top: `${Math.max(0, y - height - 8)}px` });
  };
  return { element, show, hide: () => (element.hidden = true) };
}
