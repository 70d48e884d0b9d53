// Draws each plotly figure when it comes near the window, in the colours of the page.
(() => {
  "use strict";
  const CLEAR = "rgba(0,0,0,0)";
  // One tool, while the pointer is on the figure: save it as an image.
  const TOOLBAR = { displayModeBar: "hover", displaylogo: false, modeBarButtons: [["toImage"]], toImageButtonOptions: { scale: 2 } };
  const touch = matchMedia("(pointer: coarse)").matches;

  const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--plot-ink").trim();

  /** Whether the page shows through the figure, so that its text has to suit the page. */
  const isClear = ({ paper_bgcolor: own, template }) => (own ?? template?.layout?.paper_bgcolor) === CLEAR;

  const draw = (figure) => {
    if (figure.dataset.drawn) return;
    figure.dataset.drawn = "yes";
    const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
    if (isClear(layout)) layout.font = { ...layout.font, color: ink() };
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
