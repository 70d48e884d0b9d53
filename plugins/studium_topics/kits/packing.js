// What packing.py packs, as arrays again: no DOM.

/** The tensors by name of a `layout` ("down.0.first.weight 16 3 3 3"), their bytes (128 is 0) and one scale for each row. */
export function unpack(layout, bytes, scales) {
  const tensors = new Map();
  let [byte, row] = [0, 0];
  for (const text of layout) {
    const [name, ...lengths] = text.split(" ");
    const shape = lengths.map(Number);
    const size = shape.reduce((product, length) => product * length, 1);
    const width = size / shape[0];
    const data = new Float32Array(size);
    for (let i = 0; i < size; i++) data[i] = (bytes[byte + i] - 128) * scales[row + Math.floor(i / width)];
    tensors.set(name, { data, shape });
    byte += size;
    row += shape[0];
  }
  return tensors;
}
