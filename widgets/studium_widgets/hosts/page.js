// The script of a widget's own page: shows it, and tells the page around it how high it is.
const main = document.querySelector("main");
const tell = () => parent.postMessage({ "studium-widget-height": Math.ceil(main.getBoundingClientRect().height) }, "*");
const listen = ({ data }) => {
  const theme = data?.["studium-widget-theme"];
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  tell();
};
addEventListener("message", listen);
new ResizeObserver(tell).observe(main);
const place = document.createElement("div");
await view.show(place, saved);
main.replaceChildren(place);
tell(); // a frame off the screen is not drawn, so nothing observes its size
