// JupyterLab in command mode: it takes these keys before a widget sees them, unless the focused element itself says no.
window.kit = { swallowed: [] };
const TAKEN = ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Enter", "Home", "End", "PageUp", "PageDown"];

document.addEventListener(
  "keydown",
  (event) => {
    if (!TAKEN.includes(event.key) || event.target.hasAttribute("data-lm-suppress-shortcuts")) return;
    window.kit.swallowed.push(event.target);
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);
