// The MCP TypeScript SDK v1 client, driven by a script on stdin (client_script.mjs).
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { came, capabilities, elicited, fail, roots, run, sampled, script } from './client_script.mjs';

const client = new Client({ name: 'sdk-v1', version: '1.0.0' }, { capabilities });
if (capabilities.elicitation) client.setRequestHandler(ElicitRequestSchema, elicited);
if (capabilities.sampling) client.setRequestHandler(CreateMessageRequestSchema, sampled);
if (capabilities.roots) client.setRequestHandler(ListRootsRequestSchema, roots);
for (const schema of [LoggingMessageNotificationSchema, ToolListChangedNotificationSchema]) {
  client.setNotificationHandler(schema, (notification) => { came.notifications.push(notification); });
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
  call: (params, options) => client.callTool(params, undefined, options),
  version: () => transport.protocolVersion ?? null,
});
// A pipe takes what was written only in time.
process.stdout.write("", () => process.exit(0));
