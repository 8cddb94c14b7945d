// The test upstream over stdio: node upstream_stdio.mjs [--era dual|modern|legacy] [--admin PORT]
// [--crash-on NAME]. What the tests must see (calls, cancellations, environment) is served on the
// admin port, since stdout belongs to the protocol.
import http from 'node:http';
import { parseArgs } from 'node:util';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { makeServer, makeState } from './fixture.mjs';

const { values: flags } = parseArgs({ options: {
  era: { type: 'string', default: 'dual' },
  admin: { type: 'string' },
  'crash-on': { type: 'string' },
} });
const state = makeState();
const started = Date.now();

// A gateway may run one process per session: the first has the port, the others report to it, and
// one of them takes over when it ends.
const others = new Map();

function told() {
  const { calls, cancelled, running, elicited } = state;
  return { calls, cancelled, running, elicited };
}

async function admin(req, res) {
  let body = '';
  for await (const chunk of req) body += chunk;
  if (req.url === '/admin/set') Object.assign(state, JSON.parse(body));
  if (req.url === '/admin/change') {
    for (const tell of state.listeners) tell('tools');
  }
  if (req.url === '/admin/reset') {
    Object.assign(state, { calls: [], cancelled: [], elicited: [], mutate: '', extraTools: 0, pageSize: 0 });
    others.clear();
  }
  if (req.url === '/admin/report') {
    const { pid, ...seen } = JSON.parse(body);
    others.set(pid, seen);
  }
  const all = told();
  for (const seen of others.values()) {
    for (const key of Object.keys(all)) all[key] = all[key].concat(seen[key]);
  }
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ pid: process.pid, started, env: process.env, cwd: process.cwd(), ...all }));
}

function serveAdmin() {
  let reported = '';
  const server = http.createServer(admin);
  server.on('error', async () => {
    const report = JSON.stringify({ pid: process.pid, ...told() });
    if (report !== reported) {
      const url = `http://127.0.0.1:${flags.admin}/admin/report`;
      await fetch(url, { method: 'POST', body: report }).then(() => { reported = report; }, () => {});
    }
    setTimeout(() => server.listen(Number(flags.admin), '127.0.0.1'), 40).unref();
  });
  server.listen(Number(flags.admin), '127.0.0.1').unref();
}
if (flags.admin) serveAdmin();

process.stderr.write('test upstream on stdio\n');
const crash = () => {
  if (flags['crash-on'] && state.calls.at(-1)?.tool === flags['crash-on']) process.kill(process.pid, 'SIGKILL');
};
setInterval(crash, 5).unref();

if (flags.era === 'legacy') {
  const server = makeServer(state, 'legacy');
  state.listeners.add(() => server.sendToolListChanged().catch(() => {}));
  await server.connect(new StdioServerTransport());
} else {
  serveStdio((ctx) => {
    const server = makeServer(state, ctx.era);
    state.listeners.add((kind) => {
      const sent = kind === 'prompts' ? server.sendPromptListChanged() : server.sendToolListChanged();
      sent.catch(() => {});
    });
    return server;
  }, { legacy: flags.era === 'modern' ? 'reject' : 'serve' });
}
