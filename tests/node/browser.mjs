// A real headless Chromium behind lines of JSON: {"id", "do", …} in, {"id", "ok", "value" | "error"} out.
// Every request that leaves the browser is remembered, and every message of a console.
import {readFileSync, existsSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {createRequire} from 'node:module';
import {chromium} from 'playwright-core';

const executablePath = process.env.SALLYPORT_CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
if (!executablePath) {
  console.error('browser.mjs: no Chromium. The tests of the pages need it (Debian: apt-get install chromium; `./dev test` does).');
  process.exit(3);
}
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({executablePath, headless: true, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking']});
const people = new Map();  // name → {context, page, requests, console, cdp}

const actions = {
  /** A browser of its own: width, height, scheme, lang, touch. */
  async person({name, width = 1200, height = 900, scheme = 'light', lang = 'en-GB', mobile = false}) {
    const context = await browser.newContext({viewport: {width, height}, colorScheme: scheme, locale: lang, hasTouch: mobile, isMobile: mobile, reducedMotion: 'reduce', timezoneId: 'Europe/Berlin'});
    const page = await context.newPage();
    const person = {context, page, requests: [], console: [], responses: []};
    page.on('request', (r) => person.requests.push(r.url()));
    page.on('response', (r) => person.responses.push({url: r.url(), status: r.status(), headers: r.headers(), type: r.request().resourceType()}));
    page.on('console', (m) => person.console.push(`${m.type()}: ${m.text()}`));
    page.on('pageerror', (e) => person.console.push(`pageerror: ${e.message}`));
    page.setDefaultTimeout(10000);
    people.set(name, person);
  },
  async look({name, width, height, scheme}) {
    const {page} = people.get(name);
    if (width) await page.setViewportSize({width, height: height ?? 740});
    if (scheme) await page.emulateMedia({colorScheme: scheme});
  },
  async goto({name, url}) { return (await people.get(name).page.goto(url, {waitUntil: 'load'}))?.status() ?? 0; },
  url({name}) { return people.get(name).page.url(); },
  title({name}) { return people.get(name).page.title(); },
  async text({name, selector = 'body'}) { return people.get(name).page.locator(selector).first().innerText(); },
  async wait({name, text, selector, gone = false, timeout = 10000}) {
    const {page} = people.get(name);
    const what = selector ? page.locator(selector).first() : page.getByText(text).first();
    try {
      await what.waitFor({state: gone ? 'detached' : 'visible', timeout});
    } catch (error) {
      throw new Error(`${error.message}\nat ${page.url()}:\n${await page.locator('body').innerText()}\n${people.get(name).console.slice(-10).join('\n')}`);
    }
  },
  async click({name, selector, text}) {
    const {page} = people.get(name);
    await (selector ? page.locator(selector).first() : page.getByRole('button', {name: text}).or(page.getByRole('link', {name: text})).first()).click();
  },
  async fill({name, selector, value}) { await people.get(name).page.locator(selector).first().fill(value); },
  async keys({name, keys}) { for (const key of keys) await people.get(name).page.keyboard.press(key); },
  async type({name, text}) { await people.get(name).page.keyboard.type(text); },
  async focused({name}) {
    return people.get(name).page.evaluate(() => ({id: document.activeElement?.id ?? '', tag: document.activeElement?.tagName ?? '', href: document.activeElement?.getAttribute?.('href') ?? '',
      outline: getComputedStyle(document.activeElement).outlineStyle}));
  },
  async axe({name}) {
    const {page} = people.get(name);
    // Through the debugger, not as an element of the page: the page's own policy stays as it is.
    await page.evaluate(axeSource);
    const found = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ['violations']}));
    return found.violations.map((v) => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 5).map((n) => n.html + ' ' + (n.failureSummary ?? ''))}));
  },
  async width({name}) { return people.get(name).page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]); },
  async screenshot({name, path, full = true}) { await people.get(name).page.screenshot({path, fullPage: full, animations: 'disabled', scale: 'css'}); },
  async evaluate({name, script}) { return people.get(name).page.evaluate(script); },
  async offline({name, is}) { await people.get(name).context.setOffline(is); },
  requests({name}) { return people.get(name).requests; },
  responses({name}) { return people.get(name).responses; },
  console({name}) { return people.get(name).console; },
  async cookies({name}) { return people.get(name).context.cookies(); },
  /** A security key with a fingerprint, inside the browser. */
  async authenticator({name, verified = true}) {
    const person = people.get(name);
    person.cdp ??= await person.context.newCDPSession(person.page);
    await person.cdp.send('WebAuthn.enable');
    const {authenticatorId} = await person.cdp.send('WebAuthn.addVirtualAuthenticator', {options: {protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
      isUserVerified: verified, automaticPresenceSimulation: true}});
    return authenticatorId;
  },
  async close({name}) { await people.get(name).context.close(); people.delete(name); },
};

console.log(JSON.stringify({ready: true, version: browser.version()}));
for await (const line of createInterface({input: process.stdin})) {
  const request = JSON.parse(line);
  try {
    const value = await actions[request.do](request);
    console.log(JSON.stringify({id: request.id, ok: true, value: value ?? null}));
  } catch (error) {
    console.log(JSON.stringify({id: request.id, ok: false, error: String(error.message ?? error)}));
  }
}
await browser.close();
