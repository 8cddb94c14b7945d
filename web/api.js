// The one place that talks to the gate.
import {parseExactly} from '/assets/shown.js';

/** An answer that is not what was asked for: RFC 9457, `code` is the reason code. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail || code || `HTTP ${status}`);
    this.status = status;
    this.code = code;
  }
}

async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {method, credentials: 'same-origin', redirect: 'error', cache: 'no-store',
      headers: {accept: 'application/json', ...(method === 'GET' ? {} : {'x-sallyport': '1', 'content-type': 'application/json'})},
      body: body === undefined ? undefined : JSON.stringify(body)});
  } catch {
    throw new Problem(0, 'unreachable', '');
  }
  const text = await answer.text();
  let value = null;
  try { value = text === '' ? null : parseExactly(text); } catch { value = null; }
  if (!answer.ok) throw new Problem(answer.status, value?.code ?? '', value?.detail ?? value?.title ?? '');
  return value;
}

export const get = (path) => ask('GET', path);
export const post = (path, body = {}) => ask('POST', path, body);

/** Follows the changes: onChange(request), onLine(true or false), onEnd(problem) when the session is over or locked. One
 * stream per page; it is opened again by itself. */
export function follow(onChange, onLine, onEnd) {
  let wait = 1000, source = null, timer = 0;
  const open = () => {
    source = new EventSource('/api/v1/events');
    source.addEventListener('open', () => { wait = 1000; onLine(true); });
    source.addEventListener('approval', (event) => onChange(parseExactly(event.data)));
    source.addEventListener('error', () => {
      onLine(false);
      source.close();
      get('/api/v1/me').catch((problem) => { if (problem.status === 401 || problem.code === 'session-locked') { clearTimeout(timer); onEnd(problem); } });
      clearTimeout(timer);
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 2, 15000);
    });
  };
  open();
  addEventListener('pagehide', () => { clearTimeout(timer); source.close(); });
  addEventListener('pageshow', (event) => { if (event.persisted) open(); });
}
