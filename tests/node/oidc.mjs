// A certified OpenID provider (npm oidc-provider) on loopback, for the tests only.
//   node oidc.mjs --port N --audience URL [--name corp] [--redirect URL …]
// Prints {"port":N,"issuer":URL}. Every caller of the tests is a client that gets an RFC 9068 access
// token (at+jwt) by client_credentials with a resource indicator; groups and e-mail come from
// extraTokenClaims, so that the identity is (iss, sub) with readable names beside it. The same callers log in as people
// (oidc_login.mjs) at the client sallyport-console, whose redirects are <audience>/login/callback and those of --redirect.
//   GET  /admin/stats                 how often discovery and keys were fetched
//   POST /admin/rotate {keep}         new keys; keep=true leaves the old ones in the key set
//   POST /admin/mode {mode}           up | down (503, but for /token) | dark (503) | hang | jwks:<hostile kind>
//   POST /admin/leave {who, back}     an account is disabled, or enabled again
//   POST /admin/client {…}            one more client, with this metadata; its jwks_uri may be on loopback
//   POST /admin/forge {audience}      every token of the attack list, made with the live keys
//   POST /admin/mint {header,payload,key}   one token, signed with a live key ("es", "rs", "ps", "ed")
// A resource with ?format=opaque gives an opaque token for <audience>, which the client gate-introspects may ask about.
// Tokens are bound to a key by a DPoP header (RFC 9449), and for the client `bound` to the certificate that the header
// x-client-certificate holds (RFC 8705), as a TLS terminator in front of the provider would set it.
import http from 'node:http';
import crypto from 'node:crypto';
import { parseArgs } from 'node:util';
import Provider from 'oidc-provider';
import { forge, makeKeys, mint, publicJwks } from './forge.mjs';
import { interact, loginConfiguration } from './oidc_login.mjs';
import { makeHolder, makeProof } from './proofs.mjs';

const { values: flags } = parseArgs({ options: {
  port: { type: 'string' },
  audience: { type: 'string' },
  name: { type: 'string', default: 'corp' },
  redirect: { type: 'string', multiple: true, default: [] },
} });
const issuer = `http://127.0.0.1:${flags.port}`;

// client id -> what its tokens carry
const CALLERS = {
  'agent-refunds': { groups: [] },
  'agent-other': { groups: [] },
  ana: { groups: ['analysts'], email: 'ana@example.com' },
  support: { groups: ['support'], email: 'sam@example.com' },
  lead: { groups: ['payments-leads'], email: 'lea@example.com' },
  lead2: { groups: ['payments-leads'], email: 'luc@example.com' },
  auditor: { groups: ['internal-audit'], email: 'audrey@example.com' },
  admin: { groups: ['gate-admins'], email: 'adam@example.com' },
  contractor: { groups: [], email: 'carl@example.com' },
  tester: { groups: ['testers'], email: 'tess@example.com' },
  tester2: { groups: ['testers'], email: 'tom@example.com' },
  impostor: { groups: ['guests'], email: 'tess@example.com' }, // tester's e-mail, another subject
  overage: { groups: Array.from({ length: 100 }, (_, i) => (i === 0 ? 'testers' : `g${i}`)), email: 'ola@example.com' },
  bound: { groups: ['testers'], email: 'bo@example.com' },
  entra: { groups: undefined, email: 'eve@example.com' },
};

const stats = { discovery: 0, jwks: 0, token: 0, introspection: 0, other: [] };
let mode = 'up';
let keys = await makeKeys(`${flags.name}-0`);
let retired = [];
let generation = 0;

const gone = new Set(); // people who have left
const more = []; // clients that were added
const people = loginConfiguration(CALLERS, [`${flags.audience}/login/callback`, ...flags.redirect], gone);
let provider;

function makeProvider() {
  provider = new Provider(issuer, {
    ...people.configuration,
    fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }), // its guard refuses loopback
    clients: [people.client, ...more, {
      client_id: 'gate-introspects',
      client_secret: 'gate-introspects-secret',
      grant_types: [],
      redirect_uris: [],
      response_types: [],
    }, ...Object.keys(CALLERS).map((client_id) => ({
      client_id,
      client_secret: `${client_id}-secret`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      ...(client_id === 'bound' ? { tls_client_certificate_bound_access_tokens: true } : {}),
    }))],
    jwks: { keys: keys.map((key) => key.jwk) },
    scopes: ['openid', 'offline_access', 'mcp'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientId === 'gate-introspects' },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx) => decodeURIComponent(ctx.get('x-client-certificate')) || undefined,
      },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx) => (ctx.oidc.client?.clientId === 'sallyport-console' ? undefined : flags.audience),
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'mcp',
          audience: new URL(resource).searchParams.has('format') ? flags.audience : resource,
          accessTokenTTL: Number(new URL(resource).searchParams.get('ttl') ?? 3600),
          accessTokenFormat: new URL(resource).searchParams.get('format') ?? 'jwt',
          jwt: { sign: { alg: ctx.oidc.client?.clientId === 'ana' ? 'RS256' : 'ES256' } },
        }),
      },
    },
    extraTokenClaims: (ctx, token) => {
      const id = token.accountId ?? token.clientId;
      const { groups, email } = CALLERS[id] ?? {};
      const claims = { email, name: id };
      if (groups) claims.groups = groups;
      if (!token.accountId && (token.resourceServer?.accessTokenFormat ?? 'opaque') === 'opaque') claims.sub = id;
      if (token.clientId === 'entra') {
        claims._claim_names = { groups: 'src1' };
        claims._claim_sources = { src1: { endpoint: 'https://graph.windows.net/x/getMemberObjects' } };
      }
      return claims;
    },
    cookies: { keys: ['tests'] },
  });
  provider.on('server_error', (ctx, error) => process.stderr.write(`${error.stack}\n`));
  return provider.callback();
}
let callback = makeProvider();

async function hostileJwks(kind) {
  const good = publicJwks([...keys, ...retired]).keys;
  if (kind === 'huge') return { keys: [...good, { kty: 'oct', kid: 'big', k: 'A'.repeat(10 << 20) }] };
  if (kind === 'oct') return { keys: [...good, { kty: 'oct', kid: 'hmac', alg: 'HS256', k: 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' }] };
  if (kind === 'many') {
    return { keys: [...good, ...Array.from({ length: 5000 }, (_, i) => ({ ...good[0], kid: `k${i}` }))] };
  }
  if (kind === 'duplicate') return { keys: [...good, ...good] };
  if (kind === 'weak') {
    const { publicKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 1024 });
    return { keys: [...good, { ...publicKey.export({ format: 'jwk' }), kid: 'weak', alg: 'RS256', use: 'sig' }] };
  }
  if (kind === 'garbage') return 'not json {';
  return { keys: [] };
}

async function body(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text ? JSON.parse(text) : {};
}

function json(res, value, status = 200) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(typeof value === 'string' ? value : JSON.stringify(value));
}

async function admin(req, res) {
  if (req.url === '/admin/stats') return json(res, { ...stats, generation, mode });
  const input = await body(req);
  if (req.url === '/admin/rotate') {
    generation += 1;
    retired = input.keep ? keys : [];
    keys = await makeKeys(`${flags.name}-${generation}`);
    callback = makeProvider();
    return json(res, { generation });
  }
  if (req.url === '/admin/mode') {
    mode = input.mode;
    return json(res, { mode });
  }
  if (req.url === '/admin/leave') {
    if (input.back) gone.delete(input.who);
    else gone.add(input.who);
    return json(res, { gone: [...gone] });
  }
  if (req.url === '/admin/client') {
    more.push({ grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...input });
    callback = makeProvider();
    return json(res, input);
  }
  if (req.url === '/admin/mint') return json(res, { token: await mint(keys, input) });
  if (req.url === '/admin/holder') return json(res, await makeHolder(issuer, input));
  if (req.url === '/admin/proof') return json(res, await makeProof(input));
  if (req.url === '/admin/forge') return json(res, await forge(keys, issuer, input));
  return json(res, {}, 404);
}

const server = http.createServer(async (req, res) => {
  try {
    if (req.url.startsWith('/admin/')) return await admin(req, res);
    if (await interact(provider, CALLERS, req, res)) return undefined;
    const path = req.url.split('?')[0];
    if (path.startsWith('/.well-known/')) stats.discovery += 1;
    else if (path === '/jwks') stats.jwks += 1;
    else if (path === '/token') stats.token += 1;
    else if (path === '/token/introspection') stats.introspection += 1;
    else stats.other.push(path);
    if (mode === 'dark') return json(res, { error: 'down' }, 503);
    if (mode === 'down' && path !== '/token') return json(res, { error: 'down' }, 503);
    if (mode === 'hang' && path !== '/token') return undefined;
    if (path === '/jwks' && mode.startsWith('jwks:')) return json(res, await hostileJwks(mode.slice(5)));
    if (path === '/jwks' && retired.length > 0) return json(res, publicJwks([...keys, ...retired]));
    return callback(req, res);
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    return json(res, { error: String(error) }, 500);
  }
});
server.listen(Number(flags.port), '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port, issuer }));
});
process.on('SIGTERM', () => process.exit(0));
