// Which colours are in force: the host's own theme first, then what the reader's system prefers.

const COLOURS = ["text", "muted", "line", "surface", "raised", "accent", "warm", "right"];

/** Colours of series: 3:1 or more on the page, and apart for every kind of colour vision. */
export const SERIES = {
  light: ["#0068a8", "#c24e00", "#009268", "#a33c7d", "#704a00", "#7c5bd8"],
  dark: ["#5cb8f0", "#ff9d57", "#05e2ad", "#cc99bd", "#ebd34e", "#b0ceff"],
};

/** The colour of series `i`, or of what `kind` says: "chosen", "right", "wrong" or "context". */
export function ink(theme, i, kind) {
  const said = { chosen: "accent", right: "right", wrong: "warm", context: "muted" }[kind];
  return said ? theme[said] : theme.series[i % theme.series.length];
}

/** Keeps `element` marked light or dark; the returned object always holds the colours now in force. */
export function watchTheme(element, signal, changed) {
  const theme = {};
  const system = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    element.dataset.theme = isDark(system) ? "dark" : "light";
    const style = getComputedStyle(element);
    for (const name of COLOURS) theme[name] = style.getPropertyValue(`--st-${name}`).trim();
    Object.assign(theme, { dark: isDark(system), font: style.fontFamily, series: SERIES[element.dataset.theme] });
    changed();
  };
  system.addEventListener("change", read, { signal });
  const host = new MutationObserver(read);
  const marks = {
    attributes: true,
    attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "data-theme", "class"],
  };
  for (const page of [document.documentElement, document.body]) host.observe(page, marks);
  signal.addEventListener("abort", () => host.disconnect(), { once: true });
  read();
  return Object.assign(theme, { read });
}

function isDark(system) {
  const { body, documentElement: page } = document;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (/\bvscode-(dark|light|high-contrast)/.test(body.className)) return !/\bvscode-light/.test(body.className);
  if (/^(dark|light)$/.test(page.dataset.theme ?? "")) return page.dataset.theme === "dark";
  return system.matches;
}
