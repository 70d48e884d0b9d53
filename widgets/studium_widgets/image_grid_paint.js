import { pixels } from "./image_grid_maths.js";

/** Draws one image, pixel for pixel; the stylesheet makes it larger. */
export function paint(canvas, { array, width, height }, step, image) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(pixels(array, step, image), width, height), 0, 0);
}
