// An MCP client that gets its own tokens: the OAuth side of the TypeScript SDK, version 1 or 2, with a provider that keeps
// everything in memory and hands the person's part to the test. One JSON line in, one out:
//   first   {"sdk": 1|2, "url", "redirect", "client": {…}|null, "document": URL|null, "name"}
//   connect → {"connected": true} | {"authorize": URL} | {"error"}      finish {"callback": URL} → {"finished": true} | {"error"}
//   call {"name", "arguments"} → {"result"} | {"authorize"} | {"error"}  state → {"tokens", "client", "asked": [...]}
//   spoil {"access_token", …} puts others in place of the tokens that were given
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => { const { value, done } = await lines.next(); return done ? null : JSON.parse(value); };
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const script = await next();
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = script.sdk === 2
  ? await import('@modelcontextprotocol/client')
  : {
    ...await import('@modelcontextprotocol/sdk/client/index.js'),
    ...await import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
    ...await import('@modelcontextprotocol/sdk/client/auth.js'),
  };

const kept = { client: script.client ?? undefined, tokens: undefined, verifier: undefined, authorize: undefined };
const asked = [];
const provider = {
  get redirectUrl() { return script.redirect; },
  ...(script.document ? { clientMetadataUrl: script.document } : {}),
  get clientMetadata() {
    return { client_name: script.name ?? 'test client', redirect_uris: [script.redirect], grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'], token_endpoint_auth_method: 'none', ...(script.scope ? { scope: script.scope } : {}) };
  },
  state: () => 'state-of-the-client',
  clientInformation: () => kept.client,
  ...(script.client ? {} : { saveClientInformation: (client) => { kept.client = client; } }),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  redirectToAuthorization: (url) => { kept.authorize = String(url); },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  invalidateCredentials: (what) => { if (what === 'tokens' || what === 'all') kept.tokens = undefined; },
};
const watched = async (url, init) => {
  const answer = await fetch(url, init);
  asked.push({ method: init?.method ?? 'GET', url: String(url), status: answer.status });
  return answer;
};

let client, transport;
const open = () => {
  client = new Client({ name: script.name ?? 'test client', version: '1.0.0' }, { capabilities: {} });
  transport = new StreamableHTTPClientTransport(new URL(script.url), { authProvider: provider, fetch: watched });
};
const attempt = async (work) => {
  kept.authorize = undefined;
  try {
    return await work();
  } catch (error) {
    if (error instanceof UnauthorizedError || kept.authorize) return { authorize: kept.authorize ?? null };
    return { error: `${error?.constructor?.name}: ${error?.message ?? error}` };
  }
};
const does = {
  connect: () => attempt(async () => { open(); await client.connect(transport); return { connected: true }; }),
  finish: ({ callback }) => attempt(async () => {
    const params = new URL(callback).searchParams;
    await transport.finishAuth(script.sdk === 2 ? params : params.get('code'));
    return { finished: true };
  }),
  call: ({ name, arguments: args }) => attempt(async () => ({ result: await client.callTool({ name, arguments: args }) })),
  state: () => ({ tokens: kept.tokens ?? null, client: kept.client ?? null, asked }),
  spoil: ({ do: _, ...tokens }) => { kept.tokens = { ...kept.tokens, ...tokens }; return { spoilt: true }; },
};
for (let line = await next(); line; line = await next()) say(await does[line.do](line));
process.exit(0);
