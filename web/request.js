// /approvals/<id>: one request, whole, and the decision about it.
import {follow, get, post, Problem} from '/assets/api.js';
import {byId, h, put, reveal, say} from '/assets/dom.js';
import {failed, online, start, title} from '/assets/frame.js';
import {countdown, leftWords, setClock, when} from '/assets/moment.js';
import {sign, supported} from '/assets/passkey.js';
import {approvalsSoFar, effectWords, headline, stateChip, whoName} from '/assets/request_words.js';
import {shownView} from '/assets/shown.js';
import {known, link, t} from '/assets/words.js';

const id = decodeURIComponent(location.pathname.split('/').pop());
let request = null, me = null, keys = 0, needed = false, done = '', busy = false;

const sheet = (name, ...content) => h('section', {class: 'sheet', 'aria-labelledby': name}, h('h2', {id: name}, t(name)), ...content);
const facts = (rows) => h('dl', {class: 'facts'}, rows.filter(([, value]) => value !== '' && value !== null && value !== undefined && value !== false)
  .map(([name, value]) => [h('dt', {}, t(name)), h('dd', {}, value)]));
const text = (value) => (value ? reveal(String(value)) : '');

function head() {
  const clock = h('span', {class: 'clock', role: 'timer'}), rest = h('progress', {max: '1', 'aria-label': t('ends')});
  const begin = new Date(request.created_at).getTime(), end = new Date(request.expires_at).getTime();
  const open = request.state === 'pending' || request.state === 'approved';
  if (open) {
    countdown(clock, request.expires_at, (left) => {
      clock.textContent = left > 0 ? t('left', {time: leftWords(left)}) : t('ended');
      rest.value = Math.max(0, Math.min(1, left / Math.max(1, end - begin)));
    });
  }
  return h('div', {class: 'head'}, h('p', {class: 'small'}, h('a', {href: link('/approvals')}, '← ' + t('backToList'))),
    h('div', {class: 'line'}, stateChip(request.state), open && clock, h('span', {class: 'soft small'}, approvalsSoFar(request))),
    h('h1', {}, headline(request)),
    h('p', {class: 'soft'}, t('on', {connection: request.connection}), ' · ', effectWords(request)), open && rest);
}

function what() {
  return sheet('whatExactly', request.shown?.cut && h('p', {class: 'notice bad'}, t('cut', {n: request.shown.cut.bytes, all: request.shown.cut.of})),
    shownView(request.shown), h('p', {class: 'soft small'}, t('masked')));
}

function who() {
  const r = request.requester;
  return sheet('whoAsks', facts([['agent', r.agent && h('strong', {}, text(r.agent))], ['owner', text(r.owner)], ['person', !r.agent && h('strong', {}, text(r.name || r.subject))],
    ['groups', text((r.groups ?? []).join(', '))], ['account', h('span', {class: 'value'}, text(r.subject), h('br'), h('span', {class: 'soft'}, text(r.issuer)))]]));
}

function why() {
  return sheet('whyItWaits', facts([['why', text(request.why)], ['rules', h('span', {class: 'mono'}, text(request.rules.join(', ')))], ['effect', effectWords(request)], ...(request.unmask ? [['inClearWhy', text(request.unmask.reason || t('noReason'))]] : []),
    ['flow', text(request.flow)]]));
}

function votes() {
  return sheet('votesSoFar', request.votes.length === 0 ? h('p', {class: 'soft'}, t('noVotes')) : h('ul', {class: 'votes'}, request.votes.map((vote) => h('li', {},
    h('span', {}, h('strong', {}, text(vote.name)), ' ', t(vote.decision === 'approve' ? 'votedApprove' : 'votedDeny'), ' ', t(vote.passkey ? 'withPasskey' : 'withoutPasskey')),
    vote.reason && h('blockquote', {}, text(vote.reason)), h('span', {class: 'small soft'}, when(vote.at))))));
}

function record() {
  return h('details', {class: 'sheet'}, h('summary', {}, t('forTheRecord')), facts([['id', h('code', {}, request.id)], ['asked', when(request.created_at)], ['ends', when(request.expires_at)],
    ['digest', h('code', {}, request.digest)], ['policyVersion', h('code', {}, request.policy_version)], ['decisionId', request.decision_id && h('code', {}, request.decision_id)]]));
}

async function decide(decision, form) {
  const reason = form.elements.reason, complaint = byId('complaint');
  const complain = (words) => { complaint.textContent = words; reason.setAttribute('aria-invalid', words === t('reasonMissing') ? 'true' : 'false'); };
  complain('');
  if (busy) return;
  if (request.reason_required && reason.value.trim() === '') {
    complain(t('reasonMissing'));
    reason.focus();
    return;
  }
  busy = true;
  const buttons = [...form.querySelectorAll('button')];
  for (const button of buttons) button.disabled = true;
  say(t('working'));
  try {
    const body = {decision, reason: reason.value.trim(), digest: request.digest};
    if (keys > 0 && decision === 'approve') body.assertion = await sign(id, decision) ?? undefined;
    request = await post(`/api/v1/approvals/${encodeURIComponent(id)}/decision`, body);
    done = t(decision === 'approve' ? 'doneApprove' : 'doneDeny') + (request.state === 'pending' ? ' ' + t('moreNeeded') : '');
    busy = false;
    show();
    say(done);
    byId('done')?.focus();
  } catch (error) {
    busy = false;
    for (const button of buttons) button.disabled = false;
    if (error instanceof Problem && (error.status === 401 || error.code === 'session-locked')) return failed(error, me, () => location.reload());
    complain(error.message);
    say(error.message);
  }
}

function decision() {
  if (done) return h('p', {class: 'notice good', id: 'done', tabindex: '-1'}, done);
  if (request.state !== 'pending') return null;
  if (!request.may_decide) {
    const code = request.may_not_because;
    return h('div', {class: 'notice'}, h('strong', {}, t('may-not')), h('p', {}, known(code) ? t(code) : code));
  }
  const key = keys > 0, missing = needed && !key;
  const form = h('form', {class: 'decide', novalidate: true, submit: (event) => event.preventDefault()},
    h('div', {}, h('label', {for: 'reason'}, t(request.reason_required ? 'reasonRequired' : 'reasonOptional')),
      h('textarea', {id: 'reason', name: 'reason', rows: '3', maxlength: '1000', 'aria-describedby': 'hint complaint', 'aria-required': request.reason_required ? 'true' : null}),
      h('p', {class: 'small soft', id: 'hint'}, t('reasonHint'))),
    h('p', {class: 'complaint', id: 'complaint', role: 'alert'}),
    missing && h('p', {class: 'notice wait'}, t('passkeyNeeded'), ' ', h('a', {href: link('/passkeys')}, t('addPasskey'))),
    h('div', {class: 'choice'},
      h('button', {type: 'button', class: 'no', id: 'deny', click: () => decide('deny', form)}, t('deny')),
      !missing && h('button', {type: 'button', class: 'yes', id: 'approve', click: () => decide('approve', form)}, t(key ? 'approveKey' : 'approve'))),
    h('p', {class: 'small soft'}, t('exactlyOnce', {who: whoName(request)}), ' ', !key && !missing && supported() && h('a', {href: link('/passkeys')}, t('setUpPasskey'))));
  return sheet('yourDecision', form);
}

function show() {
  title(`${whoName(request)}: ${request.resource || request.connection}`);
  const panel = decision();
  put(byId('main'), byId('stale'), head(), h('div', {class: 'two'}, h('div', {class: 'column'}, what(), who(), why()),
    h('div', {class: 'column stick'}, panel, votes(), record())));
}

async function load() {
  const answer = await get('/api/v1/approvals/' + encodeURIComponent(id));
  setClock(answer.now);
  keys = answer.your_passkeys ?? 0;
  needed = answer.passkey_needed ?? false;
  return answer;
}

/** Takes in a change without touching what the reader is writing, unless it can no longer be sent. */
function change(fresh) {
  const same = request.state === fresh.state && request.votes.length === fresh.votes.length && request.may_decide === fresh.may_decide;
  const written = byId('reason')?.value ?? '';
  const active = document.activeElement?.id;
  const moved = request.state !== fresh.state;
  request = fresh;
  if (same || busy) return;
  show();
  if (byId('reason')) byId('reason').value = written;
  if (active) byId(active)?.focus();
  if (moved && !done) say(t('changed', {state: t(fresh.state)}));
}

start('/approvals', async (person) => {
  me = person;
  request = await load();
  show();
  let first = true;
  follow((fresh) => { if (fresh.id === id) change(fresh); }, (up) => {
    online(up);
    if (up && !first) load().then(change).catch(() => online(false));
    first = false;
  }, (problem) => failed(problem, me, () => location.reload()));
});
