// The MCP TypeScript SDK v2 client, either era, driven by a script on stdin (client_script.mjs).
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { came, capabilities, elicited, fail, roots, run, sampled, script } from './client_script.mjs';

const mode = { modern: { pin: '2026-07-28' }, auto: 'auto', legacy: 'legacy' }[script.era ?? 'auto'];
const client = new Client({ name: 'sdk-v2', version: '2.0.0' }, {
  capabilities,
  versionNegotiation: { mode },
});
if (capabilities.elicitation) client.setRequestHandler('elicitation/create', elicited);
if (capabilities.sampling) client.setRequestHandler('sampling/createMessage', sampled);
if (capabilities.roots) client.setRequestHandler('roots/list', roots);
for (const method of ['notifications/message', 'notifications/tools/list_changed']) {
  client.setNotificationHandler(method, (notification) => { came.notifications.push(notification); });
}
const transport = script.command
  ? new StdioClientTransport({ command: script.command[0], args: script.command.slice(1), stderr: 'ignore', env: process.env })
  : new StreamableHTTPClientTransport(new URL(script.url), {
    requestInit: { headers: script.token ? { Authorization: `Bearer ${script.token}` } : {} },
  });
try {
  await client.connect(transport);
} catch (error) {
  fail(error);
}
await run(client, {
  call: (params, options) => client.callTool(params, options),
  version: () => client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? null,
});
// A pipe takes what was written only in time.
process.stdout.write("", () => process.exit(0));
