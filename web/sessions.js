// /sessions: where the reader is logged in, and how to end that.
import {get, post} from '/assets/api.js';
import {byId, h, put, reveal, say} from '/assets/dom.js';
import {start, title} from '/assets/frame.js';
import {when} from '/assets/moment.js';
import {t} from '/assets/words.js';

function entry(session) {
  const locked = session.state === 'locked';
  const end = h('button', {type: 'button', class: 'plain no', 'aria-label': `${t('endSession')} ${session.id}`, click: async () => {
    end.disabled = true;
    try {
      await post(`/api/v1/sessions/${encodeURIComponent(session.id)}/end`);
      say(t('sessionEnded'));
      if (session.this_one) location.replace('/login');
      else await show();
    } catch (error) {
      end.disabled = false;
      byId('complaint').textContent = error.message;
    }
  }}, t('endSession'));
  return h('li', {class: 'sheet'}, h('div', {class: 'head line-of'}, h('strong', {}, t({web: 'inBrowser', mcp: 'byMcpClient'}[session.kind] ?? 'onCommandLine')), session.this_one && h('span', {class: 'chip good', 'data-mark': '●'}, t('thisOne')),
    locked && h('span', {class: 'chip wait', 'data-mark': '◔'}, t('lockedState'))),
  h('dl', {class: 'facts'}, [['opened', when(session.opened_at)], ['lastWork', when(session.worked_at)], ['ends', when(session.expires_at)], ['limits', session.limits && session.limits.map((limit) => h('div', {}, reveal(limit.words)))], ['reason', session.reason && reveal(session.reason)],
    ['client', session.client && reveal(session.client)], ['session', h('code', {}, session.id)]].filter(([, value]) => value).map(([name, value]) => [h('dt', {}, t(name)), h('dd', {}, value)])),
  h('div', {class: 'choice'}, end));
}

async function show() {
  const {sessions} = await get('/api/v1/sessions');
  title(t('sessions'));
  put(byId('main'), h('h1', {}, t('sessions')), h('p', {class: 'soft'}, t('sessionsIntro')), h('p', {class: 'complaint', id: 'complaint', role: 'alert'}),
    sessions.length === 0 ? h('div', {class: 'sheet empty'}, h('strong', {}, t('noSessions'))) : h('ul', {class: 'pile'}, sessions.map(entry)));
}

start('/sessions', show);
