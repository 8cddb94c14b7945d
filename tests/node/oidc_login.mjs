// The human side of the tests' OpenID provider: a console client, people, and a login page of one field. A test (or a
// browser that a test drives) writes who it is and presses the button; consent is given for everything.
import { parse } from 'node:querystring';

/** What goes into the Provider's configuration for people of `callers` who log in at `redirects`. */
export function loginConfiguration(callers, redirects, gone = new Set()) {
  return {
    client: {
      client_id: 'sallyport-console',
      client_secret: 'sallyport-console-secret',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      redirect_uris: redirects,
      scope: 'openid profile email groups offline_access',
    },
    configuration: {
      acrValues: ['mfa'],
      claims: { openid: ['sub', 'acr', 'amr', 'auth_time'], profile: ['name'], email: ['email'], groups: ['groups'] },
      conformIdTokenClaims: false,
      issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token') && !gone.has('refresh_token'),
      rotateRefreshToken: true,
      findAccount: (ctx, id) => (id in callers && !gone.has(id) ? {
        accountId: id,
        claims: () => ({ sub: id, name: callers[id].name ?? id, email: callers[id].email, ...(callers[id].groups ? { groups: callers[id].groups } : {}) }),
      } : undefined),
      interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    },
  };
}

async function form(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return parse(Buffer.concat(chunks).toString());
}

async function grant(provider, details) {
  const { params, session, grantId } = details;
  const given = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  given.addOIDCScope(params.scope ?? 'openid');
  const missing = details.prompt.details;
  for (const [indicator, scopes] of Object.entries(missing.missingResourceScopes ?? {})) given.addResourceScope(indicator, scopes.join(' '));
  if (missing.missingOIDCClaims) given.addOIDCClaims(missing.missingOIDCClaims);
  return { consent: { grantId: await given.save() } };
}

/** Answers /interaction/<uid>; false for any other path. */
export async function interact(provider, callers, req, res) {
  if (!req.url.startsWith('/interaction/')) return false;
  const details = await provider.interactionDetails(req, res);
  if (details.prompt.name === 'consent') {
    await provider.interactionFinished(req, res, await grant(provider, details), { mergeWithLastSubmission: true });
    return true;
  }
  if (req.method === 'POST') {
    const { login } = await form(req);
    // A second factor is asked for where the client asks for it.
    const strong = (details.params.acr_values ?? '').split(' ').includes('mfa');
    const how = strong ? { amr: ['pwd', 'otp'], acr: 'mfa' } : { amr: ['pwd'] };
    const result = login in callers ? { login: { accountId: login, ...how } } : { error: 'access_denied', error_description: 'no such person' };
    await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
    return true;
  }
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
  res.end('<!doctype html><html lang="en"><title>Log in</title><form method="post"><label>Who are you? <input name="login" id="login" autofocus></label><button id="go">Log in</button></form></html>');
  return true;
}
