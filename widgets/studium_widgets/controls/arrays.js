// Arrays as they cross from Python: {dtype, shape, data}, data a DataView, or base64 text in a saved page.

export const TYPES = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array };

/** {data: Float32Array | Float64Array | Uint8Array, shape: number[]}; null stays null. */
export function decode(wire) {
  if (!wire) return null;
  const bytes = typeof wire.data === "string" ? fromBase64(wire.data) : copied(wire.data);
  return { data: new TYPES[wire.dtype](bytes.buffer), shape: wire.shape };
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// A copy starts at offset 0, as a Float32Array needs.
function copied(view) {
  return view instanceof ArrayBuffer
    ? new Uint8Array(view.slice(0))
    : new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}
