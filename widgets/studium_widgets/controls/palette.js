// Colour maps that stay in order of lightness for every kind of colour vision. Zero is near the page's own colour.

const STOPS = {
  sequential: {
    light: ["#f2faf6", "#c8ebd7", "#86d0b6", "#46a9ab", "#35789f", "#3c4a86", "#2c2150"],
    dark: ["#171b22", "#2c2d55", "#3b4f8c", "#3480a6", "#3fb0ab", "#8fdcb4", "#effbe9"],
  },
  diverging: {
    light: ["#12408a", "#3f7cc4", "#9fc4e8", "#f6f6f4", "#f8c590", "#dc7d1c", "#8f3d00"],
    dark: ["#a9d3ff", "#5a9be0", "#2b5489", "#1b1e24", "#81501f", "#df8a35", "#ffd9a8"],
  },
};

const tables = new Map();

/** 256 colours as little-endian 0xAABBGGRR, ready for a Uint32Array over image data. `name`: sequential, diverging. */
export function table(name, dark) {
  const key = `${name} ${dark ? "dark" : "light"}`;
  if (!tables.has(key))
    tables.set(
      key,
      Uint32Array.from({ length: 256 }, (_, i) => packed(name, dark, i / 255)),
    );
  return tables.get(key);
}

/** The CSS colour at `position` (0 to 1). */
export function colour(name, dark, position) {
  return `rgb(${mix(STOPS[name][dark ? "dark" : "light"], position).join(" ")})`;
}

/** A CSS gradient from left to right. */
export function gradient(name, dark) {
  return `linear-gradient(to right, ${STOPS[name][dark ? "dark" : "light"].join(", ")})`;
}

function packed(name, dark, position) {
  const [red, green, blue] = mix(STOPS[name][dark ? "dark" : "light"], position);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function mix(stops, position) {
  const along = Math.min(1, Math.max(0, position)) * (stops.length - 1);
  const left = Math.min(stops.length - 2, Math.floor(along));
  const [from, to] = [channels(stops[left]), channels(stops[left + 1])];
  return from.map((value, i) => Math.round(value + (to[i] - value) * (along - left)));
}

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
