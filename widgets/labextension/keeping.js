// Writes what a reader moved back into the output, so that a saved notebook shows it again.

export const SAVED = "application/vnd.studium.widget+json";
const LARGEST = 1e6; // characters of JSON: more would make the notebook stutter
const PAGE_STATE = /(JSON\.parse\(await unpack\(&quot;)[A-Za-z0-9+/=]*/;

/** The output's data with the change in it, {alt, state: {name: value}}; null where it is not worth it. */
export async function withChange(data, { alt, state }) {
  const saved = { ...data[SAVED], alt, state: { ...data[SAVED].state, ...state } };
  const text = JSON.stringify(saved);
  if (text.length > LARGEST) return null;
  const packed = await pack(text);
  const page = data["text/html"]?.replace(PAGE_STATE, (_, before) => before + packed);
  return { ...data, [SAVED]: saved, "text/plain": alt, ...(page && { "text/html": page }) };
}

// Base64 of gzip, as in modules.py.
async function pack(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
