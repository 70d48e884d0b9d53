// A picture as a PNG with its caption below, made to be posted: what is on the page, copied with every style written out.
import { h, suppress } from "./element.js";

const EDGE = 24; // px around the picture and its caption
const LINE = 22; // px from one line of the caption to the next
const SHARP = 2; // pixels of the image to a px of the page

/**
 * A button that saves `picture()` with the caption of the model, or null where it has none: lines, of which the first is
 * bold. `failed(sentence)` is told when the browser refuses to draw.
 * @param {any} ui
 * @param {string} caption
 * @param {{picture: () => HTMLElement, failed: (sentence: string) => void}} options
 */
export function saveButton(ui, caption, { picture, failed }) {
  if (!caption) return null;
  const button = h("button", { type: "button", class: "st-button", ...suppress }, "Save as image");
  const save = async () => {
    try {
      const lines = caption.split("\n");
      const words = lines[0].toLowerCase().match(/[\p{L}\d]+/gu);
      download(await imageOf(picture(), lines, ui.theme), `${words.join("-")}.png`);
    } catch {
      failed("This browser can't save it: take a screenshot.");
    }
  };
  button.addEventListener("click", save, { signal: ui.signal });
  return button;
}

function download(address, name) {
  h("a", { href: address, download: name }).click();
}

/** The element and the lines below it as the address of a PNG. */
export async function imageOf(element, lines, theme) {
  const { width, height } = element.getBoundingClientRect();
  const drawing = await drawn(element, width, height);
  const canvas = h("canvas");
  const [across, down] = [width + 2 * EDGE, height + 2.5 * EDGE + LINE * lines.length];
  Object.assign(canvas, { width: Math.ceil(SHARP * across), height: Math.ceil(SHARP * down) });
  const context = canvas.getContext("2d");
  context.scale(SHARP, SHARP);
  context.fillStyle = theme.surface;
  context.fillRect(0, 0, across, down);
  context.drawImage(drawing, EDGE, EDGE, width, height);
  lines.forEach((line, i) => {
    context.font = `${i ? 400 : 600} 15px ${theme.font}`;
    context.fillStyle = i ? theme.muted : theme.text;
    context.fillText(line, EDGE, height + 2 * EDGE + i * LINE + 8, width);
  });
  return canvas.toDataURL("image/png");
}

// A data address and not one of a blob: browsers let nobody read a canvas with a blob's foreign object on it.
async function drawn(element, width, height) {
  const markup = new XMLSerializer().serializeToString(frozen(element));
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><foreignObject width="100%" height="100%">${markup}</foreignObject></svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  return image;
}

// A copy that needs neither stylesheets nor scripts. Canvases become images.
function frozen(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return node.cloneNode();
  const canvas = node.toDataURL;
  const copy = canvas ? h("img", { src: node.toDataURL() }) : node.cloneNode(false);
  const style = getComputedStyle(node);
  copy.setAttribute("style", Array.from(style, (name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
  if (node.value) copy.setAttribute("value", node.value);
  if (!canvas) copy.append(...Array.from(node.childNodes, frozen));
  return copy;
}
