// The hostile side of the issuer: keys, and every token of the attack list, byte by byte.
// Signed with the live keys where an attacker could have got such a token, with foreign keys where not.
import crypto from 'node:crypto';
import { SignJWT, exportJWK, exportSPKI, generateKeyPair, importJWK } from 'jose';

const b64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export async function makeKeys(prefix) {
  const made = [];
  for (const [name, alg] of [['es', 'ES256'], ['rs', 'RS256'], ['ps', 'PS256'], ['ed', 'Ed25519']]) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    const jwk = { ...(await exportJWK(privateKey)), kid: `${prefix}-${name}`, use: 'sig', alg };
    made.push({ name, alg, kid: jwk.kid, jwk, privateKey });
  }
  return made;
}

export function publicJwks(keys) {
  return { keys: keys.map(({ jwk }) => {
    const { d, p, q, dp, dq, qi, ...open } = jwk;
    return open;
  }) };
}

// header and payload as given; `raw` true takes them as JSON text (duplicate keys and the like)
export async function mint(keys, { header = {}, payload = {}, key = 'es', rawHeader, rawPayload }) {
  const live = keys.find((candidate) => candidate.name === key);
  const head = rawHeader ?? JSON.stringify({ alg: live.alg, kid: live.kid, typ: 'at+jwt', ...header });
  const input = `${b64(head)}.${b64(rawPayload ?? JSON.stringify(payload))}`;
  return `${input}.${sign(live, input)}`;
}

function sign(live, input) {
  const key = crypto.createPrivateKey({ key: live.jwk, format: 'jwk' });
  const data = Buffer.from(input);
  if (live.name === 'es') return crypto.sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  if (live.name === 'ps') {
    return crypto.sign('sha256', data, {
      key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32,
    }).toString('base64url');
  }
  if (live.name === 'ed') return crypto.sign(null, data, key).toString('base64url');
  return crypto.sign('sha256', data, key).toString('base64url');
}

// name -> { token, threat } ; `good` holds tokens that must be accepted with the same claims.
export async function forge(keys, issuer, { audience, subject = 'tester', listener = 'http://127.0.0.1:9' }) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer, aud: audience, sub: subject, client_id: subject, iat: now - 5, exp: now + 600,
    jti: crypto.randomUUID(), groups: ['testers'], email: 'tess@example.com',
  };
  const key = (name) => keys.find((candidate) => candidate.name === name);
  const es = key('es');
  const rs = key('rs');
  const payload = b64(claims);
  const good = {};
  for (const name of ['es', 'rs', 'ps', 'ed']) good[name] = await mint(keys, { payload: claims, key: name });
  good.typ_long = await mint(keys, { payload: claims, header: { typ: 'application/at+jwt' } });
  good.aud_array = await mint(keys, { payload: { ...claims, aud: [audience] } });
  good.skew = await mint(keys, { payload: { ...claims, iat: now - 600, exp: now - 30 } });

  const bad = {};
  const live = (name, changes, options = {}) => mint(keys, { payload: { ...claims, ...changes }, ...options })
    .then((token) => { bad[name] = token; });

  // 1: algorithms that are none, and headers that are not what they seem
  for (const alg of ['none', 'nOnE', 'NONE', '', 'None']) {
    bad[`alg_none_${alg || 'empty'}`] = `${b64({ alg, kid: rs.kid, typ: 'at+jwt' })}.${payload}.`;
  }
  bad.alg_none_no_kid = `${b64({ alg: 'none' })}.${payload}.`;
  const [, goodPayload, goodSignature] = good.es.split('.');
  bad.alg_array = `${b64({ alg: ['ES256'], kid: es.kid, typ: 'at+jwt' })}.${goodPayload}.${goodSignature}`;
  bad.alg_number = `${b64({ alg: 1, kid: es.kid, typ: 'at+jwt' })}.${goodPayload}.${goodSignature}`;
  bad.alg_missing = `${b64({ kid: es.kid, typ: 'at+jwt' })}.${goodPayload}.${goodSignature}`;
  bad.header_duplicate_alg = await mint(keys, {
    payload: claims, rawHeader: `{"alg":"ES256","alg":"none","kid":"${es.kid}","typ":"at+jwt"}` });
  bad.header_duplicate_kid = await mint(keys, {
    payload: claims, rawHeader: `{"alg":"ES256","kid":"x","kid":"${es.kid}","typ":"at+jwt"}` });
  bad.header_array = await mint(keys, { payload: claims, rawHeader: '["ES256"]' });
  bad.header_not_json = await mint(keys, { payload: claims, rawHeader: 'ES256' });
  bad.padded = `${good.es}=`;
  bad.four_segments = `${good.es}.x`;
  bad.two_segments = good.es.split('.').slice(0, 2).join('.');
  bad.five_segments_jwe = `${good.es}.x.y`;
  bad.inner_space = good.es.replace('.', ' .');
  bad.trailing_bits = flipTrailingBits(good.es);
  bad.standard_base64 = toStandardBase64(await mint(keys, { payload: { ...claims, note: '???>>>~~~' }, key: 'rs' }));
  const raw = Buffer.from(goodSignature, 'base64url');
  bad.der_signature = `${good.es.split('.').slice(0, 2).join('.')}.${toDer(raw).toString('base64url')}`;
  bad.long_signature = `${good.es}AAAA`;
  bad.too_long = await mint(keys, { payload: { ...claims, filler: 'x'.repeat(20000) } });
  bad.empty = '';
  bad.garbage = 'garbage';
  bad.dots = '..';

  // 2: the public key as an HMAC secret
  const pem = await exportSPKI(await importJWK(publicJwks([rs]).keys[0], 'RS256', { extractable: true }));
  for (const alg of ['HS256', 'HS384', 'HS512', 'hs256']) {
    const input = `${b64({ alg, kid: rs.kid, typ: 'at+jwt' })}.${payload}`;
    const hash = { HS384: 'sha384', HS512: 'sha512' }[alg] ?? 'sha256';
    bad[`hmac_with_public_key_${alg}`] = `${input}.${crypto.createHmac(hash, pem).update(input).digest('base64url')}`;
    bad[`hmac_with_modulus_${alg}`] =
      `${input}.${crypto.createHmac(hash, rs.jwk.n).update(input).digest('base64url')}`;
  }
  const emptyInput = `${b64({ alg: 'HS256', kid: rs.kid, typ: 'at+jwt' })}.${payload}`;
  bad.hmac_empty_key = `${emptyInput}.${crypto.createHmac('sha256', '').update(emptyInput).digest('base64url')}`;

  // 3: keys and URLs inside the token
  const foreign = await generateKeyPair('ES256', { extractable: true });
  const foreignJwk = await exportJWK(foreign.publicKey);
  const foreignSign = (header) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', ...header })
    .sign(foreign.privateKey);
  bad.jwk_in_header = await foreignSign({ kid: es.kid, jwk: foreignJwk });
  bad.jwk_in_header_unknown_kid = await foreignSign({ kid: 'attacker', jwk: { ...foreignJwk, kid: 'attacker' } });
  bad.jwk_in_header_no_kid = await foreignSign({ jwk: foreignJwk });
  bad.jku = await foreignSign({ kid: es.kid, jku: `${listener}/jwks` });
  bad.x5u = await foreignSign({ kid: es.kid, x5u: `${listener}/cert` });
  bad.x5c = await foreignSign({ kid: es.kid, x5c: ['MIIB'] });
  bad.kid_is_url = await foreignSign({ kid: `${listener}/key` });
  bad.kid_is_path = await foreignSign({ kid: '../../../../dev/null' });
  bad.kid_is_sql = await foreignSign({ kid: "' or 1=1 --" });
  await live('jku_with_good_signature', {}, { header: { jku: `${listener}/jwks` } });
  await live('x5u_with_good_signature', {}, { header: { x5u: `${listener}/cert` } });
  await live('iss_is_url_of_attacker', { iss: listener });
  bad.foreign_key = await foreignSign({ kid: es.kid });

  // 4: signatures that are nothing
  bad.psychic_signature = `${b64({ alg: 'ES256', kid: es.kid, typ: 'at+jwt' })}.${payload}.${Buffer.alloc(64).toString('base64url')}`;
  bad.signature_stripped = `${good.rs.split('.').slice(0, 2).join('.')}.`;
  bad.signature_of_other = `${good.es.split('.').slice(0, 2).join('.')}.${(await mint(keys, { payload: { ...claims, jti: 'x' } })).split('.')[2]}`;
  bad.claims_changed = `${good.es.split('.')[0]}.${b64({ ...claims, sub: 'admin', groups: ['gate-admins'] })}.${goodSignature}`;

  // 5: one key under another algorithm; extensions
  bad.rs_key_as_ps = good.rs.replace(/^[^.]+/, b64({ alg: 'PS256', kid: rs.kid, typ: 'at+jwt' }));
  bad.ps_key_as_rs = good.ps.replace(/^[^.]+/, b64({ alg: 'RS256', kid: key('ps').kid, typ: 'at+jwt' }));
  bad.ps_signature_with_rs_key = pssWithRsKey(rs, claims);
  bad.es_kid_of_rs = await mint(keys, { payload: claims, key: 'es', header: { kid: rs.kid } });
  await live('crit', {}, { header: { crit: ['exp'] } });
  await live('crit_unknown', {}, { header: { crit: ['b64x'], b64x: 1 } });
  await live('b64_false', {}, { header: { b64: false } });
  await live('zip', {}, { header: { zip: 'DEF' } });
  await live('es256k', {}, { header: { alg: 'ES256K' } });

  // 6: tokens of another class
  const idToken = { ...claims, nonce: 'n', at_hash: 'x' };
  delete idToken.client_id;
  await live('id_token', { aud: 'sallyport-console', nonce: 'n', at_hash: 'x', client_id: undefined }, { header: { typ: 'JWT' } });
  bad.id_token_for_us = await mint(keys, { payload: idToken, header: { typ: 'JWT' } });
  await live('logout_token', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, { header: { typ: 'logout+jwt' } });
  await live('dpop_proof', { htm: 'POST', htu: audience }, { header: { typ: 'dpop+jwt' } });
  await live('secevent', { events: { 'urn:x': {} } }, { header: { typ: 'secevent+jwt' } });
  await live('dpop_bound_as_bearer', { cnf: { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' } });

  // 7: audiences
  await live('aud_other', { aud: 'https://other.example.com' });
  await live('aud_missing', { aud: undefined });
  await live('aud_empty', { aud: '' });
  await live('aud_empty_array', { aud: [] });
  await live('aud_number', { aud: 7 });
  await live('aud_slash', { aud: `${audience}/` });
  await live('aud_prefix', { aud: audience.slice(0, -1) });
  await live('aud_case', { aud: audience.toUpperCase() });
  await live('aud_two_foreign_azp', { aud: [audience, 'https://other.example.com'], azp: 'somebody-else', client_id: 'somebody-else' });

  // 8: time
  await live('expired', { iat: now - 4000, exp: now - 62 });
  await live('not_yet', { nbf: now + 500 });
  await live('iat_future', { iat: now + 400, exp: now + 900 });
  await live('exp_missing', { exp: undefined });
  await live('iat_missing', { iat: undefined });
  await live('exp_string', { exp: String(now + 600) });
  await live('exp_negative', { exp: -1 });
  await live('exp_huge', { exp: 1e300 });
  await live('lives_too_long', { exp: now + 40 * 86400 });

  // 12: issuers, subjects, claims
  await live('iss_slash', { iss: `${issuer}/` });
  await live('iss_case', { iss: issuer.toUpperCase() });
  await live('iss_missing', { iss: undefined });
  await live('iss_array', { iss: [issuer] });
  await live('iss_unknown', { iss: 'https://login.example.com' });
  await live('sub_missing', { sub: undefined });
  await live('sub_empty', { sub: '' });
  await live('sub_number', { sub: 7 });
  await live('sub_long', { sub: 'x'.repeat(256) });
  bad.payload_duplicate = await mint(keys, {
    rawPayload: JSON.stringify(claims).replace('{', '{"sub":"admin",') });
  bad.payload_array = await mint(keys, { rawPayload: JSON.stringify([claims]) });
  bad.payload_deep = await mint(keys, {
    rawPayload: JSON.stringify(claims).replace(/}$/, `,"d":${'['.repeat(3000)}${']'.repeat(3000)}}`) });
  return { good, bad };
}

function flipTrailingBits(token) {
  // the last character of a 64-byte signature carries 4 unused bits: change one of them
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(token.at(-1));
  return token.slice(0, -1) + alphabet[last ^ 1];
}

function toStandardBase64(token) {
  return token.replace(/-/g, '+').replace(/_/g, '/');
}

function toDer(raw) {
  const integer = (bytes) => {
    let value = bytes;
    while (value.length > 1 && value[0] === 0 && value[1] < 0x80) value = value.subarray(1);
    if (value[0] >= 0x80) value = Buffer.concat([Buffer.from([0]), value]);
    return Buffer.concat([Buffer.from([2, value.length]), value]);
  };
  const inner = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, inner.length]), inner]);
}

function pssWithRsKey(rs, claims) {
  const input = `${b64({ alg: 'PS256', kid: rs.kid, typ: 'at+jwt' })}.${b64(claims)}`;
  const key = crypto.createPrivateKey({ key: rs.jwk, format: 'jwk' });
  return `${input}.${crypto.sign('sha256', Buffer.from(input), {
    key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32,
  }).toString('base64url')}`;
}
