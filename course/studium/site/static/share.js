// A link to what a widget shows now, and the HTML that shows it on another page. Both keep the state in their fragment.
(() => {
  "use strict";
  const LONGEST = 6000; // characters: mail and chat cut off longer links
  const PLACE = /^#(widget\.\d+)(?:&(.*))?$/; // no heading has an anchor with a dot

  const address = (place, fragment) => Object.assign(new URL(place, location.href), { hash: fragment }).href;

  const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

  const embedding = (frame, state) => {
    const style = `width:100%;height:${frame.offsetHeight}px;border:0`;
    const source = escaped(address(frame.dataset.page, state));
    return `<iframe src="${source}" title="${escaped(frame.title)}" sandbox="allow-scripts" loading="lazy" style="${style}"></iframe>`;
  };

  /** A button that copies the text that `text()` gives; where a page may not copy, it shows the text. */
  const copier = (label, text) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label() });
    const say = (words) => {
      button.textContent = words;
      setTimeout(() => (button.textContent = label()), 2000);
    };
    button.addEventListener("click", async () => {
      const copied = text();
      if (copied.length > LONGEST) return say("Too much for a link");
      try {
        await navigator.clipboard.writeText(copied);
        say("Copied");
      } catch {
        prompt("Copy this:", copied);
      }
    });
    return button;
  };

  const share = (widget) => {
    const frame = widget.querySelector("iframe");
    let state = ""; // what differs from the widget of the lesson
    frame.dataset.page = frame.getAttribute("src");
    const label = () => (state ? "Copy a link to this state" : "Copy a link");
    const link = copier(label, () => address("", state ? `${widget.id}&${state}` : widget.id));
    const code = copier(
      () => "Copy the HTML to embed it",
      () => embedding(frame, state),
    );
    addEventListener("message", ({ source, data }) => {
      const told = data?.["studium-widget-state"];
      if (source !== frame.contentWindow || typeof told !== "string" || told === state) return;
      state = told;
      link.textContent = label();
    });
    const line = Object.assign(document.createElement("p"), { className: "share" });
    line.append(link, code);
    widget.append(line);
  };

  /** Show the state that the page's address names: the widget's own page checks it. */
  const restore = () => {
    const [, id, state] = PLACE.exec(location.hash) ?? [];
    const widget = id && document.getElementById(id);
    if (!widget) return;
    const frame = widget.querySelector("iframe");
    const shown = address(frame.dataset.page, state ?? "");
    if (frame.src !== shown) frame.src = shown;
    widget.scrollIntoView();
  };

  document.querySelectorAll(".widget[id]").forEach(share);
  restore();
  addEventListener("hashchange", restore);
})();
