// /passkeys: the reader's own, and how to add one.
import {get} from '/assets/api.js';
import {byId, h, put, reveal, say} from '/assets/dom.js';
import {start, title} from '/assets/frame.js';
import {when} from '/assets/moment.js';
import {register, supported} from '/assets/passkey.js';
import {t} from '/assets/words.js';

function form() {
  if (!supported()) return h('p', {class: 'notice wait'}, t('passkeyUnsupported'));
  const element = h('form', {class: 'decide', submit: async (event) => {
    event.preventDefault();
    const button = element.querySelector('button');
    button.disabled = true;
    byId('complaint').textContent = '';
    try {
      await register(element.elements.name.value.trim());
      await show();
      say(t('passkeyAdded'));
      byId('main').focus();
    } catch (error) {
      button.disabled = false;
      byId('complaint').textContent = error.message;
    }
  }}, h('div', {}, h('label', {for: 'name'}, t('passkeyName')), h('input', {type: 'text', id: 'name', name: 'name', maxlength: '60', autocomplete: 'off', 'aria-describedby': 'hint'}),
    h('p', {class: 'small soft', id: 'hint'}, t('passkeyNameHint'))),
  h('p', {class: 'complaint', id: 'complaint', role: 'alert'}), h('div', {class: 'choice'}, h('button', {type: 'submit', class: 'yes', id: 'add'}, t('addPasskey'))));
  return element;
}

async function show() {
  const {passkeys} = await get('/api/v1/passkeys');
  title(t('passkeys'));
  put(byId('main'), h('h1', {}, t('passkeys')), h('p', {class: 'soft'}, t('passkeysIntro')),
    h('section', {class: 'sheet', 'aria-label': t('passkeys')}, passkeys.length === 0 ? h('strong', {}, t('noPasskeys')) : h('ul', {class: 'votes'}, passkeys.map((key) => h('li', {},
      h('strong', {}, reveal(key.name || key.id.slice(0, 12))), h('span', {class: 'small soft'}, when(key.created_at)))))),
    h('section', {class: 'sheet', 'aria-labelledby': 'adding'}, h('h2', {id: 'adding'}, t('addPasskey')), form()));
}

start('/passkeys', show);
