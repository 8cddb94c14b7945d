// Elements without markup: text only ever becomes text, so nothing that a caller sent can become a part of the page.

/** An element: h('p', {class: 'soft'}, 'text', node, …). A function becomes a listener, true an empty attribute. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Replaces what stands in an element. */
export function put(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

export function byId(id) {
  return document.getElementById(id);
}

/** Tells a screen reader, once. */
export function say(text) {
  byId('said').textContent = text;
}

// What does not show, or changes the order in which text shows (bidirectional controls, tags, zero-width and control
// characters): it could make an approver read something else than what will run.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\u{e0000}-\u{e0fff}]/gu;

/** The text as nodes, each character of UNSEEN as a visible mark with its number. */
export function reveal(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (match.index > from) nodes.push(text.slice(from, match.index));
    nodes.push(h('span', {class: 'hidden-char'}, 'U+' + match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, '0')));
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}
