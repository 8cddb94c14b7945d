// The authorization server of an upstream (npm oidc-provider), for people's own accounts there; for the tests only.
//   node accounts_server.mjs --port N --redirect URL … [--ttl SECONDS] [--path /tenant]
// Prints {"port":N,"issuer":URL}. One client, `gate` with the secret `gate-at-upstream`; others register themselves. Tokens are opaque.
//   GET  /admin/whose?token=T     whose access token it is, for the upstream: {account, scope, client, resource}, or {}
//   POST /admin/revoke {account}  all grants of an account end
//   POST /admin/mode {token}      what the token endpoint does: up | down (503) | slow (two seconds)
//   GET  /admin/stats             grants by type, refused ones, registrations, revocations
import http from 'node:http';
import { parseArgs } from 'node:util';
import Provider from 'oidc-provider';
import { interact } from './oidc_login.mjs';

const { values: flags } = parseArgs({ options: {
  port: { type: 'string' },
  redirect: { type: 'string', multiple: true, default: [] },
  ttl: { type: 'string', default: '3600' },
} });
const issuer = `http://127.0.0.1:${flags.port}`;
const PEOPLE = Object.fromEntries(['tess', 'tom', 'mallory'].map((name) => [name, { groups: [] }]));
const SCOPES = ['read', 'write', 'admin'];
const stats = { granted: {}, refused: {}, registered: 0, revoked: 0, refreshTokens: [] };
const grants = new Map(); // account -> grant ids
let mode = 'up';

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'gate',
    client_secret: 'gate-at-upstream',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: flags.redirect,
  }],
  findAccount: (ctx, id) => (id in PEOPLE ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  scopes: ['openid', 'offline_access', ...SCOPES],
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  ttl: { Session: 600, Interaction: 600, Grant: 86400 },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => ({ scope: SCOPES.join(' '), audience: resource, accessTokenTTL: Number(flags.ttl), accessTokenFormat: 'opaque' }),
    },
  },
  cookies: { keys: ['tests'] },
});
const count = (where, ctx) => {
  const type = ctx.oidc?.params?.grant_type ?? 'none';
  where[type] = (where[type] ?? 0) + 1;
};
provider.on('grant.success', (ctx) => {
  count(stats.granted, ctx);
  if (ctx.body?.refresh_token) stats.refreshTokens.push(ctx.body.refresh_token);
});
provider.on('grant.error', (ctx) => count(stats.refused, ctx));
provider.on('registration_create.success', () => { stats.registered += 1; });
provider.on('revocation.error', () => {});
provider.on('server_error', (ctx, error) => process.stderr.write(`${error.stack}\n`));
for (const kind of ['access_token', 'refresh_token']) {
  provider.on(`${kind}.saved`, (token) => {
    if (!grants.has(token.accountId)) grants.set(token.accountId, new Set());
    grants.get(token.accountId).add(token.grantId);
  });
  provider.on(`${kind}.destroyed`, () => { stats.revoked += 1; });
}
const callback = provider.callback();

async function body(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString() || '{}');
}

async function admin(req) {
  const url = new URL(req.url, issuer);
  if (url.pathname === '/admin/stats') return stats;
  if (url.pathname === '/admin/whose') {
    const token = await provider.AccessToken.find(url.searchParams.get('token') ?? '');
    return token ? { account: token.accountId, scope: token.scope ?? '', client: token.clientId, resource: token.aud } : {};
  }
  const input = await body(req);
  if (url.pathname === '/admin/mode') mode = input.token;
  if (url.pathname === '/admin/revoke') {
    for (const id of grants.get(input.account) ?? []) {
      await provider.AccessToken.revokeByGrantId(id);
      await provider.RefreshToken.revokeByGrantId(id);
    }
  }
  return {};
}

http.createServer(async (req, res) => {
  try {
    if (req.url.startsWith('/admin/')) {
      res.writeHead(200, { 'content-type': 'application/json' });
      return res.end(JSON.stringify(await admin(req)));
    }
    if (await interact(provider, PEOPLE, req, res)) return undefined;
    if (req.url.startsWith('/token') && mode === 'down') {
      res.writeHead(503, { 'content-type': 'application/json' });
      return res.end('{"error":"secret words of the server"}');
    }
    if (req.url.startsWith('/token') && mode === 'slow') await new Promise((done) => { setTimeout(done, 2000); });
    return callback(req, res);
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    res.writeHead(500);
    return res.end();
  }
}).listen(Number(flags.port), '127.0.0.1', () => console.log(JSON.stringify({ port: Number(flags.port), issuer })));
process.on('SIGTERM', () => process.exit(0));
