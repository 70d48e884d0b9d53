// Shows each example when it comes near the screen, and switches between light and dark.
const page = document.documentElement;
const button = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function setTheme(theme) {
  page.dataset.theme = theme;
  button.textContent = theme === "dark" ? "Light" : "Dark";
}
button.addEventListener("click", () => setTheme(page.dataset.theme === "dark" ? "light" : "dark"));
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
setTheme(dark.matches ? "dark" : "light");

async function show(place) {
  const [module, saved] = document.getElementById(`data-${place.dataset.of}`).textContent.trim().split(" ");
  const [view, snapshot] = [await load(module), JSON.parse(await unpack(saved))];
  place.replaceChildren();
  await view.show(place, snapshot);
  place.dataset.shown = "";
}

const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      show(target);
    }
  },
  { rootMargin: "600px" },
);
document.querySelectorAll(".view").forEach((place) => near.observe(place));
