// /approvals: what waits for the reader first, then what waits for others, then what was decided lately.
import {follow, get} from '/assets/api.js';
import {byId, h, put, reveal, say} from '/assets/dom.js';
import {failed, online, start, title} from '/assets/frame.js';
import {briefly, countdown, leftWords, setClock} from '/assets/moment.js';
import {approvalsSoFar, effectWords, headline, stateChip} from '/assets/request_words.js';
import {glance} from '/assets/shown.js';
import {link, t} from '/assets/words.js';

const requests = new Map();

function entry(request) {
  const open = request.state === 'pending';
  const time = h('span', {class: 'clock right small'});
  if (open) countdown(time, request.expires_at, (left) => { time.textContent = left > 0 ? t('left', {time: leftWords(left)}) : t('ended'); });
  else time.append(briefly(request.created_at));
  return h('li', {}, h('a', {href: link('/approvals/' + request.id), class: request.may_decide ? 'mine' : null},
    h('span', {class: 'line'}, stateChip(request.state), time),
    h('span', {class: 'what'}, headline(request)),
    h('span', {class: 'small soft'}, t('on', {connection: request.connection}), ' · ', effectWords(request), ' · ', approvalsSoFar(request)),
    h('span', {class: 'glance'}, reveal(glance(request.shown)))));
}

function section(name, list) {
  return list.length > 0 && h('section', {class: 'column', 'aria-labelledby': name}, h('h2', {id: name}, `${t(name)} (${list.length})`), h('ul', {class: 'pile'}, list.map(entry)));
}

function show() {
  const all = [...requests.values()].sort((a, b) => b.created_at.localeCompare(a.created_at));
  const open = all.filter((r) => r.state === 'pending').sort((a, b) => a.expires_at.localeCompare(b.expires_at));
  const mine = open.filter((r) => r.may_decide);
  const focused = document.activeElement?.closest?.('a[href^="/approvals/"]')?.getAttribute('href');
  title((mine.length > 0 ? `(${mine.length}) ` : '') + t('approvals'));
  put(byId('main'), byId('stale'), h('h1', {}, t('approvals')),
    mine.length === 0 && h('div', {class: 'sheet empty'}, h('strong', {}, t('nothingWaits')), h('p', {}, t('nothingWaitsMore'), h('code', {}, 'sallyport approvals list')), all.length === 0 && h('p', {}, t('nothingAtAll'))),
    section('waitingForYou', mine), section('waitingForOthers', open.filter((r) => !r.may_decide)), section('decided', all.filter((r) => r.state !== 'pending')));
  if (focused) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();  // a live change must not take the place away
}

async function load() {
  const answer = await get('/api/v1/approvals');
  setClock(answer.now);
  requests.clear();
  for (const request of answer.approvals) requests.set(request.id, request);
  show();
}

start('/approvals', async (me) => {
  await load();
  let first = true;
  follow((request) => {
    if (!requests.has(request.id) && request.may_decide) say(t('newRequest'));
    requests.set(request.id, request);
    show();
  }, (up) => {
    online(up);
    if (up && !first) load().catch(() => online(false));  // what was missed meanwhile
    first = false;
  }, (problem) => failed(problem, me, () => location.reload()));
});
