// How a request is called, for the list and for its page.
import {h} from '/assets/dom.js';
import {known, parts, t} from '/assets/words.js';

const MARKS = {pending: ['wait', '◔'], approved: ['good', '✓'], redeemed: ['good', '✓'], denied: ['bad', '✕'], expired: ['', '–'], withdrawn: ['', '–']};

export function stateChip(state) {
  const [kind, sign] = MARKS[state] ?? ['', '?'];
  return h('span', {class: 'chip ' + kind, 'data-mark': sign}, t(state));
}

export function whoName(request) {
  return request.requester.agent || request.requester.name || request.requester.subject;
}

/** "agent-refunds asks to call refund_order", the names in bold. */
export function headline(request) {
  return parts(known(request.kind) ? request.kind : 'tool', {who: h('strong', {}, whoName(request)), what: h('strong', {class: 'mono'}, request.resource || request.connection)});
}

export function effectWords(request) {
  const effect = known(request.effect) ? t(request.effect) : request.effect_in_words;
  const clear = request.unmask;
  if (!clear) return effect;
  return effect + ', ' + t('inClear', {n: clear.max_values, what: clear.detectors.join(', '), who: clear.person});
}

export function approvalsSoFar(request) {
  return t('votesOf', {n: request.votes.filter((v) => v.decision === 'approve').length, need: request.need});
}
