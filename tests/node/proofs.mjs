// DPoP for the tests' clients, which are written in Python: a key, a token that the provider binds to it, and proofs
// with whatever a test wants to be wrong about them.
import crypto from 'node:crypto';
import * as jose from 'jose';

const holders = new Map();

async function prove(holder, { claims = {}, header = {}, drop = [] }) {
  const payload = { jti: crypto.randomUUID(), iat: Math.floor(Date.now() / 1000), ...claims };
  for (const name of drop) delete payload[name];
  return new jose.CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: holder.jwk, ...header })
    .sign(holder.key);
}

const ath = (token) => crypto.createHash('sha256').update(token).digest('base64url');

/** POST /admin/holder {who, resource} → {holder, token, token_type}: a new key and a token that is bound to it. */
export async function makeHolder(issuer, { who, resource }) {
  const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true });
  const holder = { key: privateKey, jwk: await jose.exportJWK(publicKey) };
  const proof = await prove(holder, { claims: { htm: 'POST', htu: `${issuer}/token` } });
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { DPoP: proof, authorization: `Basic ${btoa(`${who}:${who}-secret`)}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'mcp', resource }),
  });
  const { access_token: token, token_type } = await answer.json();
  const id = crypto.randomUUID();
  holders.set(id, holder);
  return { holder: id, token, token_type };
}

/** POST /admin/proof {holder, token, method, url, claims, header, drop} → {proof}. */
export async function makeProof({ holder, token, method, url, claims, ...how }) {
  return { proof: await prove(holders.get(holder), { claims: { htm: method, htu: url, ath: ath(token), ...claims }, ...how }) };
}
