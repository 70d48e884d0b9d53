// The script of a widget's own page: shows it in the state that its address names, and tells the page around it how high it
// is, and the fragment that names what it shows now.
const main = document.querySelector("main");
const place = document.createElement("div");
let [picture, end, telling] = [null, new AbortController(), 0];

const tell = () => {
  telling = 0;
  const height = Math.ceil(main.getBoundingClientRect().height);
  const told = { "studium-widget-height": height, "studium-widget-state": picture?.fragment() ?? "" };
  if (parent !== window) parent.postMessage(told, "*");
};
const tellSoon = () => (telling ||= setTimeout(tell)); // a drag changes several names at once
const listen = ({ data }) => {
  const theme = data?.["studium-widget-theme"];
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  tell();
};

const show = () => {
  end.abort();
  end = new AbortController();
  place.replaceChildren();
  picture = view.show(place, saved, end.signal);
  picture?.onChange(tellSoon);
};
const leaveOut = (why) => {
  console.warn(`The state in the address was left out: ${why}.`);
  show();
};
const restore = () => {
  try {
    picture?.restore(location.hash.slice(1));
  } catch (error) {
    return leaveOut(error.constructor === Error ? error.message : "the picture cannot show it");
  }
  const failed = () => place.querySelector(".st-failure") && leaveOut("the picture cannot show it");
  requestAnimationFrame(() => requestAnimationFrame(failed)); // it is drawn in the first of them
};

addEventListener("message", listen);
addEventListener("hashchange", restore);
new ResizeObserver(tell).observe(main);
show();
main.replaceChildren(place);
if (location.hash) restore();
tell(); // a frame off the screen is not drawn, so nothing observes its size
