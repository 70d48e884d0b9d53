// Pseudo-random numbers from a seed, the same in every browser: no DOM.

/**
 * Uniform numbers in (0, 1] from a 32-bit seed (mulberry32): the same everywhere.
 * @param {number} seed
 * @returns {() => number}
 */
export function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return (((word ^ (word >>> 14)) >>> 0) + 1) / 4294967296;
  };
}

/**
 * `size` standard normal numbers for particle `index`: each particle has a stream of its own.
 * @param {number} seed
 * @param {number} index
 * @param {number} size
 */
export function normals(seed, index, size) {
  const next = uniforms(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  const out = new Float32Array(size + (size % 2));
  for (let i = 0; i < out.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(next()));
    const angle = 2 * Math.PI * next();
    out[i] = radius * Math.cos(angle);
    out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}
