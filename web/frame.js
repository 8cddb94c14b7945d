// What every page has: the bar, the words for what went wrong, the banner of a lost connection.
import {get, Problem} from '/assets/api.js';
import {byId, h, put, say} from '/assets/dom.js';
import {link, t} from '/assets/words.js';

const SVG = 'http://www.w3.org/2000/svg';
function mark() {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 32 32');
  svg.setAttribute('aria-hidden', 'true');
  for (const [tag, attributes] of [['rect', {x: 1, y: 1, width: 30, height: 30, rx: 7, fill: '#1f4fd8'}],
    ['path', {d: 'M7 26V9l7-3v23zM25 26V9l-7-3v23z', fill: '#fff'}], ['path', {d: 'M12 16v3M20 16v3', stroke: '#1f4fd8', 'stroke-width': 1.6, 'stroke-linecap': 'round'}]]) {
    const part = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    svg.append(part);
  }
  return svg;
}

export function bar(current, me) {
  const item = (path, name) => h('a', {href: link(path), 'aria-current': location.pathname === path ? 'page' : current === path ? 'true' : null}, t(name));
  put(byId('top'), h('div', {class: 'bar'}, h('a', {class: 'brand', href: link('/approvals')}, mark(), 'sallyport'),
    me && h('nav', {'aria-label': 'sallyport'}, item('/approvals', 'approvals'), item('/passkeys', 'passkeys'), item('/sessions', 'sessions')),
    me && h('div', {class: 'me'}, h('span', {}, me.name || me.subject), h('a', {href: '/logout'}, t('logout')))));
  document.querySelector('.skip').textContent = t('skip');
}

export function title(text) {
  document.title = text + ' · sallyport';
}

export function here() {
  return encodeURIComponent(location.pathname + location.search);
}

/** Puts what went wrong in place of the page, with what to do about it. */
export function failed(error, me, again) {
  const main = byId('main');
  main.removeAttribute('aria-busy');
  const sheet = (kind, heading, more, ...rest) => put(main, h('h1', {}, t(heading)), h('div', {class: 'notice ' + kind, role: 'alert'}, more && h('p', {}, more), ...rest));
  if (error instanceof Problem && error.code === 'session-locked') {
    return sheet('wait', 'locked', t('lockedMore'), h('a', {href: '/unlock?next=' + here()}, t('unlock')));
  }
  if (error instanceof Problem && error.code === 'mfa-required') {
    return sheet('wait', 'secondFactor', t('secondFactorMore'), h('a', {href: '/login?mfa&next=' + here()}, t('login')));
  }
  if (error instanceof Problem && error.status === 401) {
    return sheet('wait', 'loggedOut', '', h('a', {href: '/login?next=' + here()}, t('login')));
  }
  if (error instanceof Problem && error.status === 403) return sheet('bad', 'notPermitted', t('notPermittedMore', {name: me?.name ?? ''}), h('a', {href: link('/approvals')}, t('backToList')));
  if (error instanceof Problem && error.status === 404) return sheet('', 'notFound', t('notFoundMore'), h('a', {href: link('/approvals')}, t('backToList')));
  sheet('bad', 'failed', error.message, error.code && h('code', {}, error.code), h('button', {type: 'button', class: 'plain', click: again}, t('retry')));
}

/** Shows or hides the banner of a lost connection. */
export function online(is) {
  const banner = byId('stale');
  if (!is && !banner) {
    byId('main').prepend(h('p', {class: 'notice wait', id: 'stale'}, t('stale')));
    say(t('stale'));
  } else if (is && banner) {
    banner.remove();
    say(t('fresh'));
  }
}

/** Who is here, then the page. Somebody who has not logged in is sent to do so and comes back. */
export async function start(current, page) {
  let me = null;
  try {
    me = await get('/api/v1/me');
    bar(current, me);
    await page(me);
    byId('main').removeAttribute('aria-busy');
  } catch (error) {
    if (error instanceof Problem && error.status === 401 && error.code !== 'session-locked' && error.code !== 'mfa-required' && !sessionStorage.getItem('sent')) {
      sessionStorage.setItem('sent', '1');  // once: a login that does not last must not become a circle
      location.replace('/login?next=' + here());
      return;
    }
    bar(current, me);
    failed(error, me, () => location.reload());
    return;
  }
  sessionStorage.removeItem('sent');
}
