// The test upstream over Streamable HTTP.
//   node upstream.mjs --port 0 [--era dual|modern|legacy] [--bearer SECRET]
// Prints one line {"port":N} when it listens. /mcp is the MCP endpoint; /admin/* is for the tests:
// GET /admin/state, POST /admin/set {mutate, extraTools, pageSize}, POST /admin/reset,
// GET /admin/captured[?text] (every request it received, with that text in its body: method, url, raw headers, body).
import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createMcpHandler, isInitializeRequest, isLegacyRequest } from '@modelcontextprotocol/server';
import {
  NodeStreamableHTTPServerTransport,
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node';
import { makeServer, makeState } from './fixture.mjs';

const { values: flags } = parseArgs({ options: {
  port: { type: 'string', default: '0' },
  era: { type: 'string', default: 'dual' },
  bearer: { type: 'string' },
} });

const state = makeState();
const captured = [];
const sessions = new Map(); // legacy session id -> {transport, server}
const validHost = localhostHostValidation();
const validOrigin = localhostOriginValidation();

// Events of one legacy session, so that Last-Event-ID can be answered.
class Events {
  constructor() { this.list = []; }
  async storeEvent(streamId, message) {
    const id = `${streamId}_${this.list.length}`;
    this.list.push({ id, streamId, message });
    return id;
  }
  async getStreamIdForEventId(id) { return this.list.find((event) => event.id === id)?.streamId; }
  async replayEventsAfter(lastId, { send }) {
    const at = this.list.findIndex((event) => event.id === lastId);
    if (at < 0) throw new Error('unknown event id');
    const { streamId } = this.list[at];
    for (const event of this.list.slice(at + 1)) {
      if (event.streamId === streamId && Object.keys(event.message).length > 0) await send(event.id, event.message);
    }
    return streamId;
  }
}

const handler = createMcpHandler(() => makeServer(state, 'modern'), { legacy: 'reject', keepAliveMs: 2000 });
const modern = toNodeHandler(handler);
state.listeners.add((kind, uri) => {
  if (kind === 'tools') handler.notify.toolsChanged();
  if (kind === 'prompts') handler.notify.promptsChanged();
  if (kind === 'resource') handler.notify.resourceUpdated(uri);
});

function refuse(res, status, code, message) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null }));
}

async function legacy(req, res, body) {
  const id = req.headers['mcp-session-id'];
  if (id) {
    const session = sessions.get(id);
    if (!session) return refuse(res, 404, -32001, 'Session not found');
    return session.transport.handleRequest(req, res, body);
  }
  if (req.method !== 'POST' || !isInitializeRequest(body)) {
    return refuse(res, 400, -32000, 'Bad Request: no valid session id');
  }
  const server = makeServer(state, 'legacy');
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    eventStore: new Events(),
    retryInterval: 100,
    onsessioninitialized: (sessionId) => { sessions.set(sessionId, { transport, server }); },
    onsessionclosed: (sessionId) => { sessions.delete(sessionId); },
  });
  const tell = (kind, uri) => {
    const sent = kind === 'tools' ? server.sendToolListChanged()
      : kind === 'prompts' ? server.sendPromptListChanged()
        : server.sendResourceUpdated({ uri });
    sent.catch(() => {});
  };
  state.listeners.add(tell);
  transport.onclose = () => state.listeners.delete(tell);
  await server.connect(transport);
  return transport.handleRequest(req, res, body);
}

function readBody(req) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => resolve(Buffer.concat(chunks)));
    req.on('error', reject);
  });
}

function json(res, value, status = 200) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(value));
}

async function admin(req, res) {
  if (req.url === '/admin/state') {
    const { calls, cancelled, running, elicited, mutate } = state;
    return json(res, { calls, cancelled, running, elicited, mutate, sessions: [...sessions.keys()] });
  }
  if (req.url.startsWith('/admin/captured')) {
    const holds = decodeURIComponent(req.url.split('?')[1] ?? '');
    return json(res, captured.filter(({ body }) => body.includes(holds)));
  }
  if (req.url === '/admin/set') {
    Object.assign(state, JSON.parse((await readBody(req)).toString()));
    return json(res, {});
  }
  if (req.url === '/admin/change') {
    const { kind, uri } = JSON.parse((await readBody(req)).toString());
    for (const tell of state.listeners) tell(kind, uri);
    return json(res, {});
  }
  if (req.url === '/admin/forget') { // as if this server had restarted: all legacy sessions are gone
    for (const { transport } of sessions.values()) await transport.close();
    sessions.clear();
    return json(res, {});
  }
  if (req.url === '/admin/reset') {
    Object.assign(state, { calls: [], cancelled: [], elicited: [], mutate: '', extraTools: 0, pageSize: 0 });
    captured.length = 0;
    return json(res, {});
  }
  return json(res, {}, 404);
}

const server = http.createServer(async (req, res) => {
  try {
    if (req.url.startsWith('/admin/')) return await admin(req, res);
    const raw = req.method === 'POST' ? await readBody(req) : Buffer.alloc(0);
    captured.push({ method: req.method, url: req.url, headers: req.rawHeaders, body: raw.toString('latin1') });
    if (captured.length > 20000) captured.splice(0, 10000);
    if (!validHost(req, res) || !validOrigin(req, res)) return undefined;
    if (flags.bearer && req.headers.authorization !== `Bearer ${flags.bearer}`) {
      return refuse(res, 401, -32001, 'wrong upstream credential');
    }
    let body;
    if (req.method === 'POST') {
      try {
        body = JSON.parse(raw.toString());
      } catch {
        return refuse(res, 400, -32700, 'Parse error');
      }
    }
    if (flags.era === 'legacy') return await legacy(req, res, body);
    if (flags.era === 'dual' && (await isLegacyRequest(await toWebRequest(req, body ?? {}), body))) {
      return await legacy(req, res, body);
    }
    return await modern(req, res, body);
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    if (!res.headersSent) refuse(res, 500, -32603, 'Internal error');
    else res.destroy();
    return undefined;
  }
});
server.keepAliveTimeout = 60000;
server.listen(Number(flags.port), '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
process.on('SIGTERM', () => process.exit(0));
