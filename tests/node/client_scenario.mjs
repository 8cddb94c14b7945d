// What the conformance suite's client scenarios need of a client, whichever of them it is: connects to --url, lists what there is, and
// calls every tool once with arguments that its schema allows. Questions are answered with what their schema gives as defaults.
//   node client_scenario.mjs --url URL --version 2026-07-28 < token
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const { values: flags } = parseArgs({ options: { url: { type: 'string' }, version: { type: 'string' } } });
const token = readFileSync(0, 'utf8').trim();
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const modern = flags.version >= '2026';

function sample(schema, name) {
  if (schema?.default !== undefined) return schema.default;
  if (schema?.enum) return schema.enum[0];
  switch (schema?.type) {
    case 'integer': return 3;
    case 'number': return 5;
    case 'boolean': return true;
    case 'array': return [];
    case 'object': return Object.fromEntries((schema.required ?? []).map((key) => [key, sample(schema.properties?.[key], key)]));
    default: return `a ${name}`;
  }
}

const client = new Client({ name: 'conformance-scenario', version: '1.0.0' }, {
  capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
  versionNegotiation: { mode: modern ? { pin: flags.version } : 'legacy' },
});
client.setRequestHandler('elicitation/create', (request) => {
  const asked = request.params.requestedSchema ?? { properties: {} };
  const content = {};
  for (const [name, schema] of Object.entries(asked.properties ?? {})) {
    if (schema.default !== undefined) content[name] = schema.default;
    else if ((asked.required ?? []).includes(name) || schema.type === 'boolean') content[name] = sample(schema, name);
  }
  return { action: 'accept', content };
});
client.setRequestHandler('sampling/createMessage', () => ({
  role: 'assistant', content: { type: 'text', text: 'yes' }, model: 'test', stopReason: 'endTurn',
}));
client.setRequestHandler('roots/list', () => ({ roots: [] }));

await client.connect(new StreamableHTTPClientTransport(new URL(flags.url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
}));
const { tools } = await client.listTools();
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), context: Object.keys(context) }));
const calls = context.toolCalls
  ?? tools.map((tool) => ({ name: tool.name, arguments: sample({ type: 'object', required: Object.keys(tool.inputSchema.properties ?? {}),
    ...tool.inputSchema }, tool.name) }));
for (const call of calls) {
  try {
    const result = await client.callTool({ name: call.name, arguments: call.arguments });
    console.log(JSON.stringify({ call, result }));
  } catch (error) {
    console.log(JSON.stringify({ call, error: String(error) }));
  }
}
for (const list of ['listResources', 'listPrompts']) await client[list]().catch(() => {});
const { prompts } = await client.listPrompts().catch(() => ({ prompts: [] }));
for (const prompt of prompts) {
  const given = Object.fromEntries((prompt.arguments ?? []).map((argument) => [argument.name, 'x']));
  await client.getPrompt({ name: prompt.name, arguments: given }).catch((error) => console.log(String(error)));
}
const { resources } = await client.listResources().catch(() => ({ resources: [] }));
for (const resource of resources) await client.readResource({ uri: resource.uri }).catch((error) => console.log(String(error)));
await client.close().catch(() => {});
process.exit(0);
