// Draws each plotly figure when it comes near the window, in the colours of the page.
(() => {
  "use strict";
  const CLEAR = "rgba(0,0,0,0)";
  const [NARROW, LINE] = [560, 20]; // px
  // One tool, while the pointer is on the figure: save it as an image.
  const TOOLBAR = {
    displayModeBar: "hover",
    displaylogo: false,
    modeBarButtons: [["toImage"]],
    toImageButtonOptions: { scale: 2 },
  };
  const touch = matchMedia("(pointer: coarse)").matches;

  const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--plot-ink").trim();

  /** Whether the page shows through the figure, so that its text has to suit the page. */
  const isClear = ({ paper_bgcolor: own, template }) => (own ?? template?.layout?.paper_bgcolor) === CLEAR;

  /** Break a title's lines so that each has at most `most` characters. */
  const wrapped = (text, most) => {
    const lines = [""];
    for (const word of text.replaceAll("<br>", " ").split(" ")) {
      if (lines.at(-1) && lines.at(-1).length + word.length >= most) lines.push("");
      lines.push(`${lines.pop()} ${word}`.trim());
    }
    return lines;
  };

  /** Fit a layout into a narrow page: shorter lines of title above the plot, and the names of the lines below it. */
  const fit = (layout, width) => {
    const names = { yref: "container", y: 0, yanchor: "bottom", x: 0, xref: "paper" };
    layout.legend = { ...layout.legend, ...names };
    if (!layout.title?.text) return;
    const lines = wrapped(layout.title.text, width / 9);
    const added = LINE * (lines.length - layout.title.text.split("<br>").length);
    layout.title = { ...layout.title, text: lines.join("<br>"), x: 0, xref: "container" };
    layout.margin = { ...layout.margin, t: (layout.margin?.t ?? 72) + added };
    layout.height = (layout.height ?? 450) + added;
  };

  const draw = (figure) => {
    if (figure.dataset.drawn) return;
    figure.dataset.drawn = "yes";
    const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
    if (isClear(layout)) layout.font = { ...layout.font, color: ink() };
    if (figure.clientWidth < NARROW) fit(layout, figure.clientWidth);
    if (touch) layout.dragmode = false; // else a finger on a figure cannot scroll the page
    const place = figure.appendChild(document.createElement("div"));
    window.Plotly.newPlot(place, data, layout, { responsive: true, ...TOOLBAR });
  };

  const figures = [...document.querySelectorAll("figure.plot")];
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) draw(target);
    },
    { rootMargin: "800px" },
  );
  for (const figure of figures) near.observe(figure);
  addEventListener("beforeprint", () => figures.forEach(draw));
  document.addEventListener("studium-theme", () => {
    for (const place of document.querySelectorAll("figure.plot > div"))
      if (isClear(place.layout)) window.Plotly.relayout(place, { "font.color": ink() });
  });
})();
