// DOM elements in one call, and the attribute that keeps JupyterLab's shortcuts away from a focused element.

/** Spread into the attributes of every focusable element: on a parent it has no effect. */
export const suppress = { "data-lm-suppress-shortcuts": "true" };

/**
 * A DOM element. `false` and `null` attributes are left out; `true` is written as an empty one.
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {any[]} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Sets a property of an element where it differs: to write even the same text costs the page a new layout. */
export function put(element, property, value) {
  if (element[property] !== value) element[property] = value;
}

let made = 0;

/** An id, or a radio group's name, that no other view has. */
export const uniqueName = (stem) => `studium-${stem}-${Math.random().toString(36).slice(2, 7)}-${made++}`;
