// Marks the reader's place in the contents, lets the keyboard reach what scrolls, copies code, tells widgets the theme.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  /** The contents: the section that is being read is marked, and kept in sight. */
  const followContents = (contents) => {
    const links = all("a", contents);
    const headings = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
    let current;
    const mark = () => {
      const below = document.documentElement.scrollHeight - innerHeight - scrollY;
      const line = innerHeight - Math.min(below, 0.75 * innerHeight); // at the end of the page the last section counts
      const passed = headings.filter((heading) => heading.getBoundingClientRect().top < line).length;
      const link = links[passed - 1];
      if (link === current) return;
      current?.removeAttribute("aria-current");
      link?.setAttribute("aria-current", "location");
      current = link;
      const box = contents.querySelector("ol");
      if (link && box.scrollHeight > box.clientHeight) box.scrollTop = link.offsetTop - box.clientHeight / 2;
    };
    let waiting = false;
    const soon = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        mark();
      });
    };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    mark();
    if (matchMedia("(max-width: 68rem)").matches) contents.querySelector("details").open = false;
  };

  /** Whatever is wider than its place can be scrolled with the keyboard, and has a name. */
  const nameScrolling = () => {
    for (const box of all(".scroll")) {
      const scrolls = box.scrollWidth > box.clientWidth + 1;
      if (scrolls === box.hasAttribute("tabindex")) continue;
      const name = box.matches(".code") ? "Code" : box.matches(".formula") ? "Formula" : "Output";
      const marks = { tabindex: "0", role: "group", "aria-label": `${name}, wider than the page` };
      for (const [key, value] of Object.entries(marks))
        scrolls ? box.setAttribute(key, value) : box.removeAttribute(key);
    }
  };

  /** What goes on to the right fades out there. */
  const markRest = () => {
    for (const box of all(".scroll"))
      box.toggleAttribute("data-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  };

  const addCopyButtons = () => {
    if (!navigator.clipboard) return;
    for (const code of all("main pre.code")) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "copy", textContent: "Copy" });
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 1500);
      });
      const frame = document.createElement("div");
      frame.className = "copyable";
      code.replaceWith(frame);
      frame.append(code, button);
    }
  };

  /** A question before an experiment: a mark to move, and then what came out as a second mark on the same line. */
  const askForGuess = (form) => {
    const [value, low, high, step] = ["value", "low", "high", "step"].map((name) => Number(form.dataset[name]));
    const make = (tag, attributes, ...children) => {
      const element = document.createElement(tag);
      for (const [name, text] of Object.entries(attributes)) element.setAttribute(name, text);
      element.append(...children);
      return element;
    };
    const number = (x) => Number(x.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
    const mark = make("input", { type: "range", min: low, max: high, step, value: 0, "aria-label": "Your guess" });
    const label = make("output", { class: "guessed" });
    const line = make("div", { class: "line" }, mark);
    const said = make("p", { class: "said", role: "status" });
    const show = make("button", { class: "button" }, "Show what came out");
    const place = (element, x) => element.style.setProperty("--at", (x - low) / (high - low));
    const move = () => {
      label.textContent = number(mark.valueAsNumber);
      mark.setAttribute("aria-valuetext", label.textContent);
    };
    mark.addEventListener("input", move);
    move();
    form
      .querySelector("details")
      .replaceWith(
        make(
          "div",
          { class: "scale" },
          make("span", {}, number(low)),
          make("span", {}, "your guess ", label),
          make("span", {}, number(high)),
        ),
        line,
        show,
        said,
      );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const found = make("span", { class: "found", "aria-hidden": "true" }, make("span", {}, number(value)));
      place(found, value);
      const yours = make("span", { class: "yours", "aria-hidden": "true" });
      place(yours, mark.valueAsNumber);
      line.append(found, yours);
      mark.disabled = true;
      show.remove();
      said.textContent = `You expected ${label.textContent}; here it came out as ${number(value)}.`;
    });
  };

  const tellWidgets = () => {
    const message = { "studium-widget-theme": document.documentElement.dataset.theme };
    for (const frame of all(".widget iframe")) frame.contentWindow.postMessage(message, "*");
  };

  const contents = document.querySelector("nav.contents");
  if (contents) followContents(contents);
  addCopyButtons();
  all("form.guess").forEach(askForGuess);
  for (const look of [nameScrolling, markRest]) {
    look();
    addEventListener("resize", look);
    addEventListener("load", look);
    document.addEventListener("toggle", look, true);
  }
  document.addEventListener("scroll", markRest, { passive: true, capture: true });
  document.addEventListener("studium-theme", tellWidgets);
  for (const frame of all(".widget iframe")) frame.addEventListener("load", tellWidgets);
  tellWidgets();
})();
