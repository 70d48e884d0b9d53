// Keeps account of what a view starts, so that what it leaves behind can be named.
const running = new Map();
Object.assign(window.kit, { running, pointed: new WeakSet() });

const CLOCKS = [
  ["setTimeout", "clearTimeout", true],
  ["setInterval", "clearInterval", false],
  ["requestAnimationFrame", "cancelAnimationFrame", true],
];
for (const [start, stop, once] of CLOCKS) {
  const [begin, end] = [window[start].bind(window), window[stop].bind(window)];
  window[start] = (action, ...rest) => {
    const run = (...given) => {
      if (once) running.delete(`${start} ${id}`);
      action(...given);
    };
    const id = begin(run, ...rest);
    running.set(`${start} ${id}`, `a call of ${start}`);
    return id;
  };
  window[stop] = (id) => {
    running.delete(`${start} ${id}`);
    end(id);
  };
}

for (const name of ["ResizeObserver", "MutationObserver", "IntersectionObserver"]) {
  window[name] = class extends window[name] {
    observe(...given) {
      running.set(this, `a ${name}`);
      super.observe(...given);
    }
    disconnect() {
      running.delete(this);
      super.disconnect();
    }
  };
}

window.Worker = class extends window.Worker {
  constructor(...given) {
    super(...given);
    running.set(this, "a Worker");
  }
  terminate() {
    running.delete(this);
    super.terminate();
  }
};

// Listeners on what outlives a view. Those on the view's own elements go with it.
const { addEventListener, removeEventListener } = EventTarget.prototype;
const outlives = (target) =>
  [window, document, document.documentElement, document.body].includes(target) || target instanceof MediaQueryList;
const listeners = [];
const POINTING = /^(click|dblclick|wheel|drag.*|(pointer|mouse|touch)(down|start|up|end|move|over|enter))$/;

EventTarget.prototype.addEventListener = function (type, listener, options) {
  const target = this ?? window;
  if (POINTING.test(type)) window.kit.pointed.add(target);
  if (outlives(target) && !options?.signal?.aborted) {
    const key = { target, type, listener };
    const gone = () => running.delete(key);
    listeners.push(key);
    running.set(key, `a listener for “${type}” on ${target.nodeName ?? target.constructor.name}`);
    if (options?.signal) addEventListener.call(options.signal, "abort", gone);
    if (options?.once) addEventListener.call(target, type, gone, { once: true });
  }
  return addEventListener.call(target, type, listener, options);
};

EventTarget.prototype.removeEventListener = function (type, listener, options) {
  const target = this ?? window;
  const same = (key) => key.target === target && key.type === type && key.listener === listener;
  for (const key of listeners.filter(same)) running.delete(key);
  return removeEventListener.call(target, type, listener, options);
};
