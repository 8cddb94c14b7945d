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

if (flags.admin) {
  http.createServer(async (req, res) => {
    if (req.url === '/admin/set') {
      let body = '';
      for await (const chunk of req) body += chunk;
      Object.assign(state, JSON.parse(body));
    }
    if (req.url === '/admin/change') {
      for (const tell of state.listeners) tell('tools');
    }
    if (req.url === '/admin/reset') {
      Object.assign(state, { calls: [], cancelled: [], elicited: [], mutate: '', extraTools: 0, pageSize: 0 });
    }
    res.setHeader('content-type', 'application/json');
    const { calls, cancelled, running, elicited } = state;
    res.end(JSON.stringify({
      pid: process.pid, started, env: process.env, cwd: process.cwd(), calls, cancelled, running, elicited,
    }));
  }).listen(Number(flags.admin), '127.0.0.1').on('error', () => {}).unref();
}

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
