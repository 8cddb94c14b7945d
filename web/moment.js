// Times: the reader's own and UTC beside it, and what is left until one.
import {h} from '/assets/dom.js';
import {language, t} from '/assets/words.js';

const here = new Intl.DateTimeFormat(language, {dateStyle: 'medium', timeStyle: 'medium'});
const short = new Intl.DateTimeFormat(language, {dateStyle: 'short', timeStyle: 'short'});

function utc(date) {
  return date.toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
}

/** "21 Nov 2026, 19:04:05 (2026-11-21 18:04:05 UTC)". */
export function when(text) {
  const date = new Date(text);
  return h('time', {datetime: text}, here.format(date) + ' ', h('span', {class: 'soft small'}, '(' + utc(date) + ')'));
}

export function briefly(text) {
  return h('time', {datetime: text, title: utc(new Date(text))}, short.format(new Date(text)));
}

export function leftWords(milliseconds) {
  const all = Math.max(0, Math.floor(milliseconds / 1000));
  const values = {h: Math.floor(all / 3600), m: Math.floor(all / 60) % 60, s: all % 60};
  return t(all >= 3600 ? 'hours' : all >= 60 ? 'minutes' : 'seconds', values);
}

// The gate's clock decides; the first answer of a page tells how far off ours is.
let ahead = 0;
export function setClock(text) {
  if (text) ahead = new Date(text).getTime() - Date.now();
}
export function now() {
  return Date.now() + ahead;
}

/** Calls `show(milliseconds left)` now and each second while `element` stands in the page. */
export function countdown(element, until, show) {
  const end = new Date(until).getTime();
  const tick = () => {
    show(end - now());
    if (element.isConnected || !started) setTimeout(tick, 1000);
    started = true;
  };
  let started = false;
  tick();
}
