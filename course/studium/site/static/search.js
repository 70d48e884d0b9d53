// Searching all lessons: "/" or Ctrl+K opens it, arrows choose, Enter opens. The index is loaded on first use.
(() => {
  "use strict";
  const MOST = 30;
  const dialog = document.querySelector("dialog.search");
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("ul");
  const state = dialog.querySelector(".state");
  const opener = document.querySelector(".open-search");
  let passages;
  let at = -1;
  let shown; // the query whose places are listed

  /** The passages of all lessons: a page from disk may load a script, but fetch nothing. */
  const load = () =>
    (passages ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "assets/passages.js";
      script.onload = () => resolve(window.studiumPassages.map((passage) => ({ ...passage, ...folded(passage) })));
      script.onerror = reject;
      document.head.append(script);
    }));

  const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const folded = ({ lesson, heading, text }) => ({ title: fold(`${lesson} ${heading}`), body: fold(text) });

  const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const starts = (word) => new RegExp(`(?<![\\p{L}\\p{N}])${escaped(word)}`, "u");

  /** How well a passage fits: each word must begin a word of it; 0 where one does not. */
  const score = ({ title, body, heading }, patterns) => {
    let sum = 0;
    for (const pattern of patterns) {
      const inTitle = pattern.test(title);
      const hits = body.match(new RegExp(pattern, "gu"))?.length ?? 0;
      if (!inTitle && !hits) return 0;
      sum += (inTitle ? 10 : 0) + (pattern.test(fold(heading)) ? 10 : 0) + Math.min(hits, 5);
    }
    return sum;
  };

  const find = (all, words) => {
    const patterns = words.map(starts);
    return all
      .map((passage) => ({ passage, points: score(passage, patterns) }))
      .filter(({ points }) => points)
      .sort((a, b) => b.points - a.points)
      .map(({ passage }) => passage);
  };

  /** Some words around the first hit, the hits marked. */
  const excerpt = (text, words) => {
    const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(${words.map(escaped).join("|")})`, "giu");
    const first = Math.max(0, text.search(pattern));
    const begin = first < 60 ? 0 : text.indexOf(" ", first - 60) + 1;
    const end = text.length > begin + 180 ? text.lastIndexOf(" ", begin + 180) : text.length;
    const part = text.slice(begin, end);
    const line = document.createElement("p");
    if (begin) line.append("… ");
    part.split(pattern).forEach((piece, index) => {
      if (index % 2 === 0) return line.append(piece);
      line.appendChild(document.createElement("mark")).textContent = piece;
    });
    if (end < text.length) line.append(" …");
    return line;
  };

  const option = (passage, index, words) => {
    const item = document.createElement("li");
    Object.assign(item, { id: `found-${index}`, role: "option", ariaSelected: "false" });
    item.dataset.url = passage.url;
    const title = item.appendChild(document.createElement("p"));
    title.className = "title";
    title.append(passage.heading);
    if (passage.heading !== passage.lesson)
      title.appendChild(document.createElement("span")).textContent = passage.lesson;
    if (passage.text) item.append(excerpt(passage.text, words));
    item.addEventListener("click", () => open(item));
    return item;
  };

  const open = (item) => {
    dialog.close();
    location.href = item.dataset.url;
  };

  const choose = (index) => {
    const items = list.children;
    items[at]?.setAttribute("aria-selected", "false");
    at = items.length ? (index + items.length) % items.length : -1;
    const item = items[at];
    if (!item) return input.removeAttribute("aria-activedescendant");
    item.setAttribute("aria-selected", "true");
    input.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  };

  const search = async () => {
    const query = input.value;
    const words = fold(query).split(/\s+/).filter(Boolean);
    const all = await load();
    if (query !== input.value) return; // somebody went on typing
    const found = words.length ? find(all, words) : [];
    list.replaceChildren(...found.slice(0, MOST).map((passage, index) => option(passage, index, words)));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(Boolean(found.length)));
    state.textContent = !words.length
      ? "Type a word: all lessons are searched."
      : found.length
        ? `${found.length} ${found.length === 1 ? "place" : "places"}${found.length > MOST ? `, the best ${MOST} shown` : ""}`
        : `Nothing found for “${query.trim()}”.`;
    shown = query;
    at = -1;
    choose(0);
  };

  const enter = async () => {
    if (shown !== input.value) await search();
    if (list.children[at]) open(list.children[at]);
  };

  const show = () => {
    if (!dialog.open) dialog.showModal();
    input.select();
    search();
  };

  const KEYS = { ArrowDown: () => choose(at + 1), ArrowUp: () => choose(at - 1), Enter: enter };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  opener.hidden = false;
  opener.addEventListener("click", show);
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
    if ((event.key === "/" && !isTyping) || (event.key === "k" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault();
      show();
    }
  });
})();
