// A client that declares io.modelcontextprotocol/tasks: @modelcontextprotocol/ext-tasks on the SDK v2.
//   stdin: {url, token, name, args, cancel_after_ms?} -> stdout: one JSON line {kind, result|error, ms, statuses}
import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient } from '@modelcontextprotocol/ext-tasks/client';

const script = JSON.parse(readFileSync(0, 'utf8'));
const version = '2026-07-28';
const info = { name: 'ext-tasks', version: '0.2.2' };
const authorization = `Bearer ${script.token}`;
const client = new Client(info, { capabilities: {}, versionNegotiation: { mode: { pin: version } } });
await client.connect(new StreamableHTTPClientTransport(new URL(script.url), { requestInit: { headers: { authorization } } }));

const statuses = [];
// The package leaves the wire of task requests to its host: one POST, its answer as JSON or as events.
async function rawDispatch(request) {
  const id = randomUUID();
  const name = request.params?.taskId ?? request.params?.name;
  const answer = await fetch(script.url, {
    method: 'POST',
    headers: {
      authorization, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
      'mcp-protocol-version': version, 'mcp-method': request.method, ...(name ? { 'mcp-name': name } : {}),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id, ...request }),
  });
  const text = await answer.text();
  const messages = (answer.headers.get('content-type') ?? '').startsWith('text/event-stream')
    ? text.split('\n').filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)))
    : [JSON.parse(text)];
  const reply = messages.find((message) => message.id === id);
  if (reply.error) return { kind: 'error', error: reply.error };
  if (reply.result.status) statuses.push(reply.result.status);
  return { kind: 'result', result: reply.result };
}

const begun = Date.now();
const session = createTaskSessionFromClient(client, {
  endpointId: 'gate', rawDispatch, v2RequestFraming: { protocolVersion: version, clientInfo: info, clientCapabilities: {} },
});
let out;
try {
  const execution = await session.callTool(script.name, script.args);
  if (script.cancel_after_ms !== null && script.cancel_after_ms !== undefined) {
    setTimeout(() => { Promise.resolve(execution.cancel?.()).catch(() => {}); }, script.cancel_after_ms);
  }
  out = await execution.settle();
} catch (error) {
  out = { failure: String(error?.message ?? error), code: error?.code ?? null };
}
process.stdout.write(`${JSON.stringify({ ...out, statuses, ms: Date.now() - begun })}\n`);
process.exit(0);
