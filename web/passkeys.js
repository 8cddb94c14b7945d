// /passkeys: the reader's own, how to add one and how to take one away.
import {get, post, Problem} from '/assets/api.js';
import {byId, h, put, reveal, say} from '/assets/dom.js';
import {here, start, title} from '/assets/frame.js';
import {when} from '/assets/moment.js';
import {register, supported} from '/assets/passkey.js';
import {parts, t} from '/assets/words.js';

const TODO = 'passkeys-todo';  // what the reader was about to do when the gate asked for a login with fresh proof

/** Runs what changes the passkeys. The gate may want a fresh login first: `todo` is offered again after that. */
async function change(todo, complaint, run) {
  complaint.textContent = '';
  try {
    await run();
    return true;
  } catch (error) {
    if (error instanceof Problem && error.code === 'login-stale') {
      sessionStorage.setItem(TODO, JSON.stringify(todo));
      location.assign('/login?fresh&next=' + here());
    } else {
      complaint.textContent = error.message;
    }
    return false;
  }
}

function form(name) {
  if (!supported()) return h('p', {class: 'notice wait'}, t('passkeyUnsupported'));
  const complaint = h('p', {class: 'complaint', id: 'complaint', role: 'alert'});
  const element = h('form', {class: 'decide', submit: async (event) => {
    event.preventDefault();
    const button = element.querySelector('button'), wanted = element.elements.name.value.trim();
    button.disabled = true;
    if (await change({add: wanted}, complaint, () => register(wanted))) {
      await show();
      say(t('passkeyAdded'));
      byId('main').focus();
    }
    button.disabled = false;
  }}, h('div', {}, h('label', {for: 'name'}, t('passkeyName')), h('input', {type: 'text', id: 'name', name: 'name', maxlength: '60', autocomplete: 'off', value: name ?? '', 'aria-describedby': 'hint'}),
    h('p', {class: 'small soft', id: 'hint'}, t('passkeyNameHint'))),
  complaint, h('div', {class: 'choice'}, h('button', {type: 'submit', class: 'yes', id: 'add'}, t('addPasskey'))));
  return element;
}

/** One passkey; taking it away is asked about in its place. */
function entry(key, last, asking) {
  const name = key.name || key.id.slice(0, 12), item = h('li', {class: 'sheet'});
  const facts = [h('strong', {}, reveal(name)), h('span', {class: 'small soft'}, parts('added', {time: when(key.created_at)})),
    h('span', {class: 'small soft'}, key.used_at ? parts('lastUsed', {time: when(key.used_at)}) : t('neverUsed'))];
  const calm = () => {
    const button = h('button', {type: 'button', class: 'plain no', 'aria-label': `${t('removePasskey')} ${name}`, click: () => ask()}, t('removePasskey'));
    put(item, ...facts, h('div', {class: 'choice'}, button));
    return button;
  };
  const ask = () => {
    const complaint = h('p', {class: 'complaint', role: 'alert'});
    const remove = h('button', {type: 'button', class: 'no', click: async () => {
      remove.disabled = true;
      if (await change({remove: key.id}, complaint, () => post('/api/v1/passkeys/remove', {id: key.id}))) {
        await show();
        say(t('passkeyRemoved'));
        byId('main').focus();
      }
      remove.disabled = false;
    }}, t('removePasskey'));
    put(item, ...facts, h('p', {}, t('removeSure'), ' ', last && t('removeLast')), complaint,
      h('div', {class: 'choice'}, remove, h('button', {type: 'button', class: 'plain', click: () => calm().focus()}, t('keepPasskey'))));
    remove.focus();
  };
  calm();
  if (asking) queueMicrotask(ask);
  return item;
}

async function show(todo = {}) {
  const {passkeys, needed} = await get('/api/v1/passkeys');
  title(t('passkeys'));
  put(byId('main'), h('h1', {}, t('passkeys')), h('p', {class: 'soft'}, t('passkeysIntro')),
    needed && passkeys.length === 0 && h('p', {class: 'notice wait'}, t('passkeyNeeded')),
    passkeys.length === 0 ? h('div', {class: 'sheet empty'}, h('strong', {}, t('noPasskeys')))
      : h('ul', {class: 'pile', 'aria-label': t('passkeys')}, passkeys.map((key) => entry(key, passkeys.length === 1, todo.remove === key.id))),
    h('section', {class: 'sheet', 'aria-labelledby': 'adding'}, h('h2', {id: 'adding'}, t('addPasskey')), form(todo.add)));
  if (todo.add !== undefined) byId('add')?.focus();
}

function takeTodo() {
  const kept = sessionStorage.getItem(TODO);
  sessionStorage.removeItem(TODO);
  return kept === null ? {} : JSON.parse(kept);
}

start('/passkeys', () => show(takeTodo()));
