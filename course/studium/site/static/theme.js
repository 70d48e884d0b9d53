// Light or dark: as the system, or as the reader chose on any page. Loaded before the page is drawn, so it never flashes.
// A classic script, as all of them here: browsers load no modules from disk.
(() => {
  "use strict";
  const KEY = "studium-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  /** The reader's choice: "system", "light" or "dark". Some browsers keep nothing for pages from disk. */
  const chosen = () => {
    try {
      return localStorage.getItem(KEY) ?? "system";
    } catch {
      return "system";
    }
  };

  const keep = (choice) => {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // then it holds for this page
    }
  };

  /** Show a choice, and tell plots and widgets. */
  const show = (choice) => {
    const theme = choice === "system" ? (system.matches ? "dark" : "light") : choice;
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("studium-theme", { detail: theme }));
  };

  let choice = chosen();
  show(choice);
  system.addEventListener("change", () => show(choice));
  addEventListener("storage", ({ key, newValue }) => {
    if (key === KEY) show((choice = newValue ?? "system"));
  });
  addEventListener("DOMContentLoaded", () => {
    const control = document.querySelector("fieldset.theme");
    control.hidden = false;
    for (const input of control.querySelectorAll("input")) {
      input.checked = input.value === choice;
      input.addEventListener("change", () => {
        choice = input.value;
        keep(choice);
        show(choice);
      });
    }
  });
})();
