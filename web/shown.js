// What exactly is asked for: arguments of a tool as a table, a statement as coloured text.
import {h, reveal} from '/assets/dom.js';
import {COLOURS, tokens} from '/assets/sql.js';
import {t} from '/assets/words.js';

/** A number as it was written: 900.00 is not 900 to who has to sign it. */
export class Written {
  constructor(source) { this.source = source; }
  toString() { return this.source; }
}

/** JSON with numbers kept as written, where the browser tells how they were. */
export function parseExactly(text) {
  return JSON.parse(text, (key, value, context) =>
    typeof value === 'number' && context?.source !== undefined && String(value) !== context.source ? new Written(context.source) : value);
}

function plain(value) {
  return value !== null && typeof value === 'object' && !(value instanceof Written);
}

/** JSON text of a value, indented, numbers as written. */
export function jsonText(value, indent = '') {
  if (value instanceof Written) return value.source;
  if (!plain(value)) return JSON.stringify(value);
  const more = indent + '  ';
  const open = Array.isArray(value) ? '[' : '{', close = Array.isArray(value) ? ']' : '}';
  const parts = Array.isArray(value) ? value.map((v) => more + jsonText(v, more))
    : Object.entries(value).map(([k, v]) => more + JSON.stringify(k) + ': ' + jsonText(v, more));
  return parts.length === 0 ? open + close : open + '\n' + parts.join(',\n') + '\n' + indent + close;
}

function valueView(value) {
  if (plain(value)) return h('pre', {}, reveal(jsonText(value)));
  if (value === '') return h('span', {class: 'soft'}, t('emptyText'));
  if (value === null) return h('span', {class: 'value k'}, 'null');
  if (typeof value === 'string') return h('span', {class: 'value', dir: 'auto'}, reveal(value));
  return h('span', {class: 'value n'}, String(value));
}

function argumentsView(value) {
  if (!plain(value) || Array.isArray(value)) return h('pre', {}, reveal(jsonText(value ?? null)));
  const entries = Object.entries(value);
  if (entries.length === 0) return h('p', {class: 'soft'}, t('noArguments'));
  return h('table', {class: 'arguments'},
    h('caption', {class: 'unseen'}, t('whatExactly')),
    h('tbody', {}, entries.map(([name, v]) => h('tr', {}, h('th', {scope: 'row'}, h('span', {class: 'mono'}, reveal(name))), h('td', {}, valueView(v))))));
}

export function sqlView(text) {
  return h('pre', {class: 'sql'}, h('code', {}, tokens(text).map(([kind, part]) =>
    COLOURS[kind] ? h('span', {class: COLOURS[kind]}, reveal(part)) : reveal(part))));
}

/** Everything that stands in `shown` of a request: {"arguments": {…}}, {"sql": "…", "params": […]}, or {"text": "…"} of what was cut. */
export function shownView(shown) {
  if (typeof shown?.text === 'string') return [h('pre', {}, reveal(shown.text))];
  if (!shown) return [h('p', {class: 'soft'}, t('noArguments'))];
  if (typeof shown.sql === 'string') {
    const params = shown.params ?? [];
    return [sqlView(shown.sql),
      params.length > 0 && h('table', {class: 'arguments'}, h('caption', {class: 'unseen'}, t('parameters')),
        h('tbody', {}, params.map((v, i) => h('tr', {}, h('th', {scope: 'row'}, h('span', {class: 'mono'}, '$' + (i + 1))), h('td', {}, valueView(v))))))];
  }
  return [argumentsView(shown.arguments)];
}

/** One line of it, for the list. */
export function glance(shown) {
  if (typeof shown?.text === 'string') return shown.text.slice(0, 300);
  if (typeof shown?.sql === 'string') return shown.sql.replace(/\s+/g, ' ').slice(0, 300);
  const value = shown?.arguments;
  if (!plain(value) || Array.isArray(value)) return value === undefined ? '' : jsonText(value).replace(/\s+/g, ' ').slice(0, 300);
  return Object.entries(value).map(([k, v]) => `${k} ${typeof v === 'string' ? v : jsonText(v).replace(/\s+/g, ' ')}`).join(' · ').slice(0, 300);
}
