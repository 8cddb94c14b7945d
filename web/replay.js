'use strict';
// The digests of the other parts of this file; of this script the policy in the head has one. So no byte of what is
// shown or run can be changed without the badge staying red.
const parts = { style: '@STYLE_HASH@', shell: '@SHELL_HASH@', evidence: '@EVIDENCE_HASH@' };

const id = (name) => document.getElementById(name);
const utf8 = new TextEncoder();
const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
const join = (...arrays) => Uint8Array.from(arrays.flatMap((a) => [...a]));
const equal = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

/** Makes an element; what comes from the log is only ever text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((c) => c !== '' && c !== null && c !== undefined));
  return element;
}

// -- The proof ---------------------------------------------------------------------------------------------

/** A signed note (c2sp.org/signed-note): its text, and the signatures behind it. */
function parseNote(note) {
  const split = note.lastIndexOf('\n\n');
  if (split < 0) throw new Error('the head is no signed note');
  const signatures = note.slice(split + 2).split('\n').filter(Boolean).map((line) => {
    const [dash, name, blob] = line.split(' ');
    if (dash !== '\u2014' || !blob) throw new Error('a signature line is malformed');
    const bytes = bytesOf(blob);
    return { name, key: hex(bytes.slice(0, 4)), bytes: bytes.slice(4) };
  });
  return { text: note.slice(0, split + 1), signatures };
}

/** "name+hash+base64" of a key of that type. */
async function parseKey(vkey, type) {
  const [name, hash, ...rest] = vkey.split('+');
  const typed = bytesOf(rest.join('+'));
  const found = await sha256(join(utf8.encode(name + '\n'), typed));
  if (typed.length !== 33 || typed[0] !== type || hex(found.slice(0, 4)) !== hash) throw new Error('the key is malformed');
  const key = await crypto.subtle.importKey('raw', typed.slice(1), { name: 'Ed25519' }, false, ['verify']);
  return { name, hash, verify: (bytes, signature) => crypto.subtle.verify('Ed25519', key, signature, bytes) };
}

async function signedBy(note, key) {
  for (const s of note.signatures) {
    if (s.name === key.name && s.key === key.hash && await key.verify(utf8.encode(note.text), s.bytes)) return true;
  }
  return false;
}

/** When this witness cosigned, seconds since the epoch; null if it did not (c2sp.org/tlog-cosignature). */
async function cosignedBy(note, key) {
  for (const s of note.signatures) {
    if (s.name !== key.name || s.key !== key.hash || s.bytes.length !== 72) continue;
    const seconds = new DataView(s.bytes.buffer, s.bytes.byteOffset, 8).getBigUint64(0);
    const message = utf8.encode(`cosignature/v1\ntime ${seconds}\n${note.text}`);
    if (await key.verify(message, s.bytes.slice(8))) return Number(seconds);
  }
  return null;
}

/** RFC 9162 section 2.1.3.2. */
async function rootOf(entry, index, size, hashes) {
  const node = (left, right) => sha256(join([1], left, right));
  let at = index, last = size - 1, found = await sha256(join([0], entry));
  for (const sibling of hashes) {
    if (last === 0) throw new Error('a proof is too long');
    if (at % 2 === 1 || at === last) {
      found = await node(sibling, found);
      while (at % 2 === 0 && at !== 0) { at = Math.floor(at / 2); last = Math.floor(last / 2); }
    } else {
      found = await node(found, sibling);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new Error('a proof is too short');
  return found;
}

/** What was recorded outside the log (docs/formats/recording.md): the bytes that the entry binds, opened with the key it names. */
async function opened(blob, recording, origin) {
  const bytes = bytesOf(recording.bytes), raw = bytesOf(recording.key);
  if (hex(await sha256(bytes)) !== blob.h) throw new Error('a recording is not the one that its entry binds');
  const named = await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0),
    info: utf8.encode('sallyport recording commitment v1') }, await crypto.subtle.importKey('raw', raw, 'HKDF', false, ['deriveBits']), 160);
  if (hex(new Uint8Array(named)) !== blob.k) throw new Error('a recording came with another key');
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']);
  const whose = [utf8.encode(origin), utf8.encode(recording.session)];
  const lengths = whose.flatMap((w) => [w.length >> 8, w.length & 255]);
  const parts_ = [];
  for (let at = 0, n = 0, last = false; !last; ++n) {
    const head = bytes.slice(at, at + 16), view = new DataView(bytes.buffer, at, 16);
    const number = view.getUint32(8), size = view.getUint32(12) + 16;
    last = number >= 0x80000000;
    if ((number & 0x7fffffff) !== n || last !== (at + 16 + size === bytes.length)) throw new Error('a recording is not whole');
    const iv = join(head.slice(0, 8), [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255]);
    const about = join(lengths, ...whose, head);
    parts_.push(new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData: about }, key, bytes.slice(at + 16, at + 16 + size))));
    at += 16 + size;
  }
  return new TextDecoder('utf-8').decode(await new Blob(parts_).arrayBuffer());
}

/** Puts what was recorded outside into the payloads of an entry. */
async function fill(entry, evidence, origin) {
  for (const p of [entry.req, entry.res]) {
    if (!p || !p.blob) continue;
    const recording = (evidence.recordings || {})[p.blob.h];
    if (!recording || recording.why) {
      p.why = recording ? recording.why : 'sealed';
      continue;
    }
    const text = await opened(p.blob, recording, origin);
    if (text[0] === 'j') p.json = JSON.parse(text.slice(1), exact); else p.text = text.slice(1);
  }
}

/** Checks everything; throws at the first thing that does not hold. */
async function verify(evidence) {
  const text = (name) => sha256(utf8.encode(name));
  if (base64(await text(id('evidence').textContent)) !== parts.evidence) throw new Error('the evidence in this file was changed');
  if (base64(await text(document.querySelector('style').textContent)) !== parts.style) throw new Error('the style of this file was changed');
  const note = parseNote(evidence.note);
  const key = await parseKey(evidence.key, 1);
  if (!await signedBy(note, key)) throw new Error('the head of the log is not signed by its key');
  const [origin, size, root] = note.text.split('\n');
  if (origin !== key.name) throw new Error('the head is of another log');
  const entries = new Map();
  for (const one of evidence.entries) {
    const bytes = bytesOf(one.entry);
    const found = await rootOf(bytes, one.index, Number(size), one.proof.map(bytesOf));
    if (!equal(found, bytesOf(root))) throw new Error(`entry ${one.index} is not in the log`);
    const entry = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), exact);
    await fill(entry, evidence, origin);
    entries.set(one.index, entry);
  }
  const witnesses = [];
  for (const line of (evidence.policy || '').split('\n').map((l) => l.trim().split(/\s+/)).filter((w) => w[0] === 'witness')) {
    const witness = await parseKey(line[2], 4);
    const at = await cosignedBy(note, witness);
    if (at !== null) witnesses.push({ name: witness.name, at });
  }
  return { origin, size: Number(size), root, entries, witnesses };
}

// -- What is shown -----------------------------------------------------------------------------------------

const maskMarks = /\*{4,}|\[SAD removed\]/g;

/** Text with what was masked marked. */
function marked(text) {
  const out = make('span');
  let at = 0;
  for (const found of text.matchAll(maskMarks)) {
    out.append(text.slice(at, found.index), make('mark', { title: 'masked' }, found[0]));
    at = found.index + found[0].length;
  }
  out.append(text.slice(at));
  return out;
}

function rows(result) {
  const head = make('tr', {}, ...result.columns.map((c) => make('th', { scope: 'col' }, String(c))));
  const body = result.data.map((row) => make('tr', {}, ...row.map((cell) =>
    cell === null ? make('td', { class: 'null' }, 'NULL') : make('td', {}, marked(typeof cell === 'string' ? cell : JSON.stringify(cell))))));
  return make('div', { class: 'rows', tabindex: '0' }, make('table', {}, make('thead', {}, head), make('tbody', {}, ...body)),
    make('p', { class: 'soft' }, `${result.tag || ''} · ${result.rows} rows`));
}

/** A recorded message: a statement, rows, or JSON. */
function payload(label, p) {
  if (!p) return null;
  const parts_ = [make('h2', {}, label)];
  const value = p.json;
  if (value && typeof value.sql === 'string') {
    parts_.push(make('pre', { tabindex: '0' }, marked(value.sql)));
    if (value.params) parts_.push(make('pre', { tabindex: '0' }, marked(JSON.stringify(value.params, null, 1))));
  } else if (value && Array.isArray(value.columns) && Array.isArray(value.data)) {
    parts_.push(rows(value));
  } else if (value !== undefined) {
    const texts = Array.isArray(value && value.content) && value.content.every((c) => typeof c.text === 'string');
    parts_.push(make('pre', { tabindex: '0' }, marked(texts ? value.content.map((c) => c.text).join('\n') : JSON.stringify(value, null, 1))));
  } else if (p.text !== undefined) {
    parts_.push(make('pre', { tabindex: '0' }, marked(p.text)));
  }
  if (p.why) parts_.push(make('p', { class: 'chip wait' }, p.why));
  if (p.cut) parts_.push(make('p', { class: 'chip wait' }, `not all of its ${p.b} bytes were recorded`));
  return make('div', {}, ...parts_);
}

const verdicts = { allow: ['allow', 'allowed', 'good'], deny: ['deny', 'denied', 'bad'], approve: ['approve', 'needs approval', 'wait'] };
const clock = (t) => new Date(t / 1e6).toISOString().slice(11, 23);

/** Numbers stay as they were written: 1.0 is not 1, and 20 digits are 20 digits. */
function exact(key, value, context) {
  if (typeof value !== 'number' || !context || !JSON.rawJSON || String(value) === context.source || key === 't') return value;
  return JSON.rawJSON(context.source);
}

function masks(entry) {
  return (entry.mask || []).map((m) => `${m.n} ${m.k}${m.p ? ' at ' + m.p : ''}`).join(', ');
}

/** One operation: what was asked beside what was seen; or another event of the session. */
function article(index, entry, outcome) {
  const isCall = entry.e === 'call.intent' || entry.e === 'call.denied';
  const [kind, word, colour] = isCall ? verdicts[entry.x] || verdicts.deny : ['', '', ''];
  const line = make('div', { class: 'line' },
    make('span', { class: 'when mono' }, clock(entry.t)), make('span', { class: 'when mono' }, `#${index}`),
    make('span', { class: 'what' }, `${isCall ? entry.m || '' : entry.e} ${entry.r || ''}`),
    isCall ? make('span', { class: `chip ${colour}` }, word) : '');
  const why = [];
  if (entry.rules) why.push(`rule ${entry.rules.join(', ')}`);
  if (entry.why) why.push(entry.why);
  if (entry.a) why.push(`approval ${entry.a}`);
  if (entry.ap) {
    const by = entry.ap.by;
    why.push([entry.ap.vote, by && `by ${by.name || by.sub}`, entry.ap.flow && `flow ${entry.ap.flow}`, entry.ap.reason && `“${entry.ap.reason}”`, entry.ap.sig && 'with passkey']
      .filter(Boolean).join(' '));
  }
  if (entry.p && isCall) why.push(`policy ${entry.p}`);
  if (entry.detail) why.push(entry.detail);
  if (entry.e === 'session.close') why.push(`${entry.count || 0} operations`);
  const box = make('article', { class: kind || (entry.e.startsWith('approval.') ? 'approve' : '') }, line);
  const reasons = make(isCall ? 'p' : 'span', { class: 'why' }, why.filter(Boolean).join(' · '));
  if (why.length) (isCall ? box : line).append(reasons);
  const result = outcome ? outcome.entry : entry.e === 'call.event' ? entry : null;
  const asked = payload('asked', entry.req), seen = result && payload('seen', result.res);
  if (asked || seen) box.append(make('div', { class: 'sides' }, asked || make('div'), seen || make('div')));
  if (outcome) {
    const o = outcome.entry;
    const said = [`#${outcome.index}`, o.e === 'call.abandoned' ? 'abandoned: no result was released' : o.ok === false ? `error ${o.code || o.why || ''}` : 'ok'];
    if (o.us !== undefined) said.push(`${(o.us / 1000).toFixed(1)} ms`);
    if (o.um) said.push(`${o.um.n} values in clear at ${o.um.at} places`);
    box.append(make('p', { class: 'why' }, said.join(' · ')));
  } else if (entry.e === 'call.intent') {
    box.append(make('p', { class: 'chip wait' }, 'no outcome is recorded'));
  }
  const hidden = [masks(entry), result && masks(result)].filter(Boolean).join(', ');
  if (hidden) box.append(make('p', { class: 'why' }, make('mark', {}, 'masked'), ` ${hidden}`));
  box.dataset.kind = [kind, hidden || box.textContent.search(maskMarks) >= 0 ? 'masked' : '', entry.a || entry.ap ? 'approval' : ''].join(' ');
  return box;
}

function facts(list, pairs) {
  for (const [name, value] of pairs) {
    if (value) list.append(make('dt', {}, name), make('dd', {}, value));
  }
}

function filters(articles) {
  const wanted = [['all', 'Everything'], ['deny', 'Denied'], ['approval', 'Approvals'], ['masked', 'Masked']];
  for (const [kind, label] of wanted) {
    const matches = articles.filter((a) => kind === 'all' || a.dataset.kind.split(' ').includes(kind));
    if (!matches.length) continue;
    const button = make('button', { type: 'button', 'aria-pressed': String(kind === 'all') }, `${label} ${matches.length}`);
    button.addEventListener('click', () => {
      for (const b of id('filters').children) b.setAttribute('aria-pressed', String(b === button));
      for (const a of articles) a.hidden = !matches.includes(a);
    });
    id('filters').append(button);
  }
}

/** Whether the counters of the session leave a gap: operations are numbered, and the end says how many there were. */
function completeness(own) {
  const calls = own.filter(([, e]) => e.e === 'call.intent' || e.e === 'call.denied');
  const numbers = new Set(calls.map(([, e]) => e.n));
  const close = own.find(([, e]) => e.e === 'session.close');
  const total = close ? close[1].count || 0 : Math.max(0, ...numbers);
  const missing = [];
  for (let n = 1; n <= total; ++n) if (!numbers.has(n)) missing.push(n);
  if (missing.length) throw new Error(`operations ${missing.slice(0, 5).join(', ')} of ${total} are missing`);
  return close ? `complete: all ${total} operations, and its end` : `${total} operations so far; its end is not recorded yet`;
}

function show(evidence, proven) {
  const opened = [...proven.entries].find(([, e]) => e.e === 'auth.success' && e.sid === evidence.session);
  if (!opened) throw new Error('the session is not in the evidence');
  const [at, session] = opened;
  const own = [...proven.entries].filter(([i, e]) => i === at || e.s === at);
  const told = completeness(own);
  const who = session.who || {};
  document.title = `Session ${evidence.session}`;
  id('title').textContent = `${who.agent || who.name || who.sub} on ${session.c || ''}`;
  facts(id('facts'), [['session', evidence.session], ['who', `${who.name || ''} <${who.sub} at ${who.iss}>`],
    ['agent', who.agent && `${who.agent}, owned by ${who.owner || '?'}`], ['groups', (who.groups || []).join(', ')],
    ['from', session.from && `${session.from}${session.ua ? ` (${session.ua})` : ''}`],
    ['over', `${session.fe || ''} ${session.pv || ''}`.trim()], ['since', new Date(session.t / 1e6).toISOString()], ['record', told]]);
  const outcomes = new Map();
  for (const [index, entry] of proven.entries) {
    if ((entry.e === 'call.outcome' || entry.e === 'call.abandoned') && entry.i !== undefined) outcomes.set(entry.i, { index, entry });
  }
  const shown = new Set(['call.outcome', 'call.abandoned']);
  const articles = [...proven.entries].filter(([i, e]) => i !== at && !shown.has(e.e) && !(e.e === 'auth.success'))
    .map(([i, e]) => {
      const box = article(i, e, outcomes.get(i));
      if (e.s !== undefined && e.s !== at) {
        const other = proven.entries.get(e.s);
        box.prepend(make('p', { class: 'why' }, `caused in session ${other ? `${other.sid} on ${other.c}` : `#${e.s}`}`));
      }
      return box;
    });
  id('timeline').append(...articles);
  filters(articles);
  facts(id('proof'), [['log', proven.origin], ['key', evidence.key], ['head', `${proven.size} entries, root ${proven.root}`],
    ['cosigned', proven.witnesses.map((w) => `${w.name} at ${new Date(w.at * 1000).toISOString()}`).join(', ') || 'by nobody: the head itself is the log\u2019s word'],
    ['entries', [...proven.entries.keys()].map((i) => `#${i}`).join(' ')]]);
}

/** What the head allows this file: its own style and script, and nothing else. */
function allowed() {
  const policy = document.querySelector('meta[http-equiv]').content;
  const wanted = `default-src 'none'; style-src 'sha256-${parts.style}'; script-src 'sha256-`;
  return policy.startsWith(wanted) && policy.endsWith("'; base-uri 'none'; form-action 'none'");
}

async function main() {
  const badge = id('badge');
  const say = (kind, text) => { badge.className = kind; badge.textContent = text; };
  try {
    if (!allowed()) throw new Error('the policy of this file was changed');
    if (base64(await sha256(utf8.encode(id('shell').outerHTML))) !== parts.shell) throw new Error('the page was changed');
    const evidence = JSON.parse(id('evidence').textContent);
    const proven = await verify(evidence);
    show(evidence, proven);
    say('good', `Verified: all ${proven.entries.size} entries are in the log ${proven.origin} as its key signed it` +
      (proven.witnesses.length ? `, cosigned by ${proven.witnesses.map((w) => w.name).join(' and ')}` : ''));
  } catch (problem) {
    if (problem.name === 'NotSupportedError') {
      say('wait', 'NOT verified: this browser cannot check Ed25519 signatures. Use a newer one, or `sallyport audit verify`.');
    } else {
      say('bad', `NOT verified: ${problem.message}`);
    }
  }
}

main();
