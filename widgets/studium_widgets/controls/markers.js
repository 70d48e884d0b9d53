// Marks of points: each series has a shape as well as a colour.

const SHAPES = [
  (c, r) => c.arc(0, 0, r, 0, 2 * Math.PI),
  (c, r) => c.rect(-0.88 * r, -0.88 * r, 1.76 * r, 1.76 * r),
  (c, r) =>
    polygon(c, [
      [0, -1.2 * r],
      [1.1 * r, 0.8 * r],
      [-1.1 * r, 0.8 * r],
    ]),
  (c, r) =>
    polygon(c, [
      [0, -1.3 * r],
      [1.3 * r, 0],
      [0, 1.3 * r],
      [-1.3 * r, 0],
    ]),
  (c, r) =>
    polygon(c, [
      [0, 1.2 * r],
      [1.1 * r, -0.8 * r],
      [-1.1 * r, -0.8 * r],
    ]),
  (c, r) => polygon(c, star(r)),
];

/** The same shapes as characters, for a legend. */
export const MARKS = ["●", "■", "▲", "◆", "▼", "★"];

/** Draws the mark of series `i` around (x, y), about `radius` px large, with a rim in the page's colour. */
export function marker(
  context,
  i,
  x,
  y,
  radius,
  theme,
  { fill = theme.series[i % theme.series.length], rim = theme.surface } = {},
) {
  context.save();
  context.translate(x, y);
  context.beginPath();
  SHAPES[i % SHAPES.length](context, radius);
  context.fillStyle = fill;
  context.strokeStyle = rim;
  context.lineWidth = 1.5;
  context.fill();
  context.stroke();
  context.restore();
}

function polygon(context, points) {
  for (const [x, y] of points) context.lineTo(x, y);
  context.closePath();
}

function star(radius) {
  const corner = (_, i) => [i % 2 ? 0.6 * radius : 1.35 * radius, (Math.PI * i) / 5 - Math.PI / 2];
  return Array.from({ length: 10 }, corner).map(([size, angle]) => [size * Math.cos(angle), size * Math.sin(angle)]);
}
