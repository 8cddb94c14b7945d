// Passkeys (WebAuthn Level 2). The gate makes the challenge and checks the answer; nothing is decided here.
import {post, Problem} from '/assets/api.js';
import {t} from '/assets/words.js';

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

export function supported() {
  return isSecureContext && typeof PublicKeyCredential === 'function' && !/^[\d.]+$|^\[/.test(location.hostname);
}

async function ceremony(run) {
  if (!supported()) throw new Problem(0, 'passkey', t('passkeyUnsupported'));
  try {
    return await run();
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(0, 'passkey', t(error?.name === 'InvalidStateError' ? 'passkeyKnown' : 'passkeyCancelled'));
  }
}

/** Registers a passkey for the person who is logged in. */
export async function register(name) {
  const options = await post('/api/v1/passkeys/options');
  const made = await ceremony(() => navigator.credentials.create({publicKey: {
    challenge: bytes(options.challenge), rp: options.rp, user: {...options.user, id: bytes(options.user.id)},
    pubKeyCredParams: options.algorithms.map((alg) => ({type: 'public-key', alg})),
    excludeCredentials: options.exclude.map((id) => ({type: 'public-key', id: bytes(id)})),
    authenticatorSelection: {residentKey: 'preferred', userVerification: 'required'}, attestation: 'none', timeout: 120000}}));
  return post('/api/v1/passkeys/register', {name, client_data: text(made.response.clientDataJSON), authenticator_data: text(made.response.getAuthenticatorData())});
}

/** Signs a decision ("approve" or "deny") about a request; null for a person without a passkey. */
export async function sign(id, decision) {
  const options = await post('/api/v1/passkeys/assertion-options', {approval: id, decision});
  if (options.credentials.length === 0) return null;
  const made = await ceremony(() => navigator.credentials.get({publicKey: {
    challenge: bytes(options.challenge), rpId: options.rp_id, userVerification: 'required', timeout: 120000,
    allowCredentials: options.credentials.map((credential) => ({type: 'public-key', id: bytes(credential)}))}}));
  return {credential: text(made.rawId), client_data: text(made.response.clientDataJSON),
    authenticator_data: text(made.response.authenticatorData), signature: text(made.response.signature)};
}
