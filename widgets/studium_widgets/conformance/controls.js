// What a view offers to move, and how it looks: the checks' hands and eyes.
const FOCUSABLE = "input, select, textarea, button, summary, a[href], [tabindex]";
const PICTURE =
  "canvas, [role=application], [role=grid], [role=slider], [role=listbox], [role=tablist], [role=spinbutton]";
const NARROW = 1; // px that may stick out: rounding

kit.frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

const usable = (element) => !element.disabled && element.checkVisibility({ visibilityProperty: true });

/** Every element of the view that can have the focus now. */
kit.focusable = (root) =>
  [...root.querySelectorAll(FOCUSABLE)].filter((element) => usable(element) && element.tabIndex >= 0);

/** What a person would call the element. */
kit.call = (element) => {
  const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.textContent;
  const kind = element.getAttribute("role") ?? (element.type || element.localName);
  return `${kind} “${name.trim().replace(/\s+/g, " ").slice(0, 40)}”`;
};

/** Those that arrow keys must move: sliders, steppers, lists, pictures, and one of each group of radio buttons. */
kit.moving = (root) => {
  const groups = new Set();
  return kit.focusable(root).filter((element) => {
    if (element.type === "radio") return element.checked && !groups.has(element.name) && groups.add(element.name);
    return element.matches(`input[type=range], input[type=number], select, :is(${PICTURE})[tabindex]`);
  });
};

const say = (element, ...types) => types.forEach((type) => element.dispatchEvent(new Event(type, { bubbles: true })));
const press = (element, key) =>
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));

function movesOf(element) {
  const put = (value) => () => {
    Object.assign(element, { value });
    return say(element, "input", "change");
  };
  const name = kit.call(element);
  const move = (how, run) => ({ name, how, run: () => element.isConnected && usable(element) && run() });
  const ends = () => ["min", "max"].map((end) => move(`to its ${end}imum`, put(element[end])));
  if (element.type === "range") {
    const middle = (Number(element.min) + Number(element.max)) / 2;
    return [...ends(), move("to the middle", put(middle))];
  }
  if (element.type === "number") return ends();
  if (element.localName === "select")
    return [...element.options].map((option) => move(`to ${option.value}`, put(option.value)));
  if (element.type === "radio") return [move("on", () => element.click())];
  if (element.type === "checkbox") return [0, 1].map(() => move("over", () => element.click()));
  if (element.localName === "button") return [0, 1].map(() => move("by a click", () => element.click()));
  if (!element.matches(PICTURE)) return [];
  return ["ArrowRight", "ArrowDown", "End", "Enter"].map((key) => move(`by ${key}`, () => press(element, key)));
}

/** Base64 for bytes, so that a state can leave the page. */
kit.plain = (value) => {
  if (value instanceof DataView || ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  }
  if (Array.isArray(value)) return value.map(kit.plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, kit.plain(item)]));
};

kit.state = (view) => kit.plain(window.views[view].model.state);

/** Moves the controls of a view to their ends, `most` moves; gives [{name, how, changed}], `changed` what each set. */
kit.walk = async (view, most = 200) => {
  const { el, model } = window.views[view];
  const state = () => ({ ...model?.state }); // a host without a kernel keeps its model to itself
  const radios = [...el.querySelectorAll("input[type=radio]")].filter(usable);
  const controls = new Set([...kit.focusable(el), ...radios]);
  const order = (element) => (element.localName === "button" ? 1 : 0); // what starts something comes last
  const seen = [];
  const moves = [...controls].sort((a, b) => order(a) - order(b)).flatMap(movesOf);
  for (const { name, how, run } of moves.slice(0, most)) {
    const before = state();
    run();
    await new Promise(requestAnimationFrame);
    const changed = Object.entries(state()).filter(([key, value]) => value !== before[key] && key !== "_alt");
    if (changed.length) seen.push({ name, how, changed: kit.plain(Object.fromEntries(changed)) });
  }
  return seen;
};

/** A number that changes when the view's text or pictures do. */
kit.look = (view) => {
  const { el } = window.views[view];
  const values = [...el.querySelectorAll("input, select")].map((input) => `${input.value}${input.checked}`);
  let sum = 7;
  const add = (number) => (sum = (Math.imul(sum, 31) + number) | 0);
  for (const character of el.innerHTML.replace(/studium-[\w-]+/g, "") + values) add(character.charCodeAt(0));
  for (const canvas of el.querySelectorAll("canvas")) {
    if (!canvas.width || !canvas.height) continue;
    const pixels = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data.buffer;
    if (pixels) new Uint32Array(pixels).forEach(add);
  }
  return sum;
};

const LOOKS = 3;

/**
 * Waits until the view has looked the same for `quiet` ms; false where it still changes after `patience` ms.
 * It looks several times, each after a frame: on a busy machine a picture that moves stands still for as long.
 */
kit.rests = async (view, quiet, patience) => {
  const start = performance.now();
  let [look, since, same] = [kit.look(view), start, 0];
  while (performance.now() - start < patience) {
    await new Promise((done) => setTimeout(() => requestAnimationFrame(done), 60));
    const now = kit.look(view);
    same += 1;
    if (now !== look) [look, since, same] = [now, performance.now(), 0];
    if (same >= LOOKS && performance.now() - since >= quiet) return true;
  }
  return false;
};

const scrolls = (element, root) => {
  for (let box = element.parentElement; box && box !== root; box = box.parentElement) {
    if (/auto|scroll|hidden|clip/.test(getComputedStyle(box).overflowX)) return true;
  }
  return false;
};

/** What sticks out of the page at the right, and cannot be scrolled to within the view. */
kit.outside = (view) => {
  const { el } = window.views[view];
  const edge = document.documentElement.clientWidth + NARROW;
  const out = [...el.querySelectorAll("*")].filter(
    (element) => usable(element) && element.getBoundingClientRect().right > edge && !scrolls(element, el),
  );
  return out.filter((element) => !out.includes(element.parentElement)).map((element) => element.outerHTML.slice(0, 90));
};

kit.summary = (view) =>
  [...window.views[view].el.querySelectorAll("[aria-live], [role=status]")].map((said) => said.textContent.trim());

kit.clear = () => {
  for (const { abort, el } of window.views) {
    abort();
    el.remove();
  }
  window.views.length = 0;
  kit.swallowed.length = 0;
};
