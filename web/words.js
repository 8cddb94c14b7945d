// The words of the pages, English and German. `?lang=de` in the address says which; else the browser does.

const ENGLISH = {
  approvals: 'Approvals', passkeys: 'Passkeys', sessions: 'Sessions', logout: 'Log out', skip: 'Skip to the content', approvalRequest: 'Approval request',
  loading: 'Loading …', waitingForYou: 'Waiting for you', waitingForOthers: 'Waiting for others', decided: 'Decided lately',
  nothingWaits: 'Nothing waits for you', nothingWaitsMore: 'A call that a rule holds for approval appears here by itself. From a terminal: ',
  nothingAtAll: 'Requests that you made or may decide about stand here.',
  pending: 'Waiting', approved: 'Approved, not used yet', denied: 'Denied', expired: 'Expired', withdrawn: 'Withdrawn', redeemed: 'Approved and run',
  tool: '{who} asks to call {what}', sql: '{who} asks to run SQL on {what}', prompt: '{who} asks for the prompt {what}', resource: '{who} asks to read {what}',
  completion: '{who} asks to complete {what}', inClear: 'shows up to {n} values of {what} in clear to {who}', inClearWhy: 'Reason given', noReason: 'none',
  read: 'reads data', call: 'calls a tool that may change data', write: 'changes data', ddl: 'changes the structure of the database', admin: 'changes rights or settings', none: 'no effect on data',
  votesOf: '{n} of {need} approvals', left: '{time} left', ended: 'time is over', on: 'on {connection}',
  whatExactly: 'What exactly', whoAsks: 'Who asks', whyItWaits: 'Why it waits', votesSoFar: 'Votes', yourDecision: 'Your decision', forTheRecord: 'For the record',
  emptyText: 'empty text', noArguments: 'No arguments.', parameters: 'Parameters', cut: 'The text was cut for storage: only {n} of {all} bytes stand here. Deny it, unless you know the rest.',
  masked: 'Card numbers and other secrets are masked. What runs is exactly what was asked for, not what you see here.',
  person: 'Person', agent: 'Agent', owner: 'Owner', groups: 'Groups', account: 'Account', connection: 'Connection', effect: 'Effect',
  rules: 'Rules', why: 'Why', flow: 'Approval flow', id: 'Request', digest: 'Digest', policyVersion: 'Policy version', asked: 'Asked', ends: 'Ends', decisionId: 'Decision',
  noVotes: 'Nobody has voted yet.', votedApprove: 'approved', votedDeny: 'denied', withPasskey: 'with a passkey', withoutPasskey: 'without a passkey',
  reason: 'Reason', reasonRequired: 'Reason (needed)', reasonOptional: 'Reason (if you like)', reasonMissing: 'Write why: the flow asks for a reason.',
  reasonHint: 'It is kept in the log and shown to who asked.', approve: 'Approve', approveKey: 'Approve with passkey', deny: 'Deny', working: 'One moment …',
  exactlyOnce: 'Approving lets exactly this run, once, for {who} only.', setUpPasskey: 'Set up a passkey to sign your decisions.',
  doneApprove: 'Your approval is recorded.', doneDeny: 'Your refusal is recorded.', moreNeeded: 'More approvals are needed.',
  'may-not': 'You cannot decide about this', requester: 'You asked for this yourself. Somebody else has to decide.',
  'same-person': 'This was asked for from another account of yours. Somebody else has to decide.', 'agent-owner': 'You answer for the agent that asks. Somebody else has to decide.',
  'not-an-approver': 'You are not among the approvers of this flow.', 'joined-late': 'You became an approver after this was asked for.',
  voted: 'You have voted already.', 'groups-incomplete': 'Your provider did not tell all of your groups, so it is unknown whether you may decide.', 'not-a-person': 'Only a person decides.', 'not-pending': 'It is no longer open.',
  stale: 'The connection is lost. What you see may be out of date; it is being tried again.', fresh: 'Connected again.', retry: 'Try again', backToList: 'All requests',
  notPermitted: 'Not for you to see', notPermittedMore: 'You are logged in as {name}, who neither asked for this nor may decide about it.',
  notFound: 'No such request', notFoundMore: 'The link may be wrong, or the request ended long ago: then the log has it.', failed: 'That did not work', locked: 'Your session is locked', lockedMore: 'You were away for a while.', unlock: 'Unlock', login: 'Log in', loggedOut: 'You are not logged in', secondFactor: 'A second factor is needed', secondFactorMore: 'This wants a login with a second factor. Log in again; if it stays, ask whoever runs the identity provider.',
  changed: 'This request has changed: {state}', newRequest: 'A new request waits',
  passkeysIntro: 'A passkey signs each of your decisions with a key that never leaves your device. Anybody can check the signature in the log later. Once you have one, the gate takes your votes only with it.',
  noPasskeys: 'You have no passkey yet', addPasskey: 'Add a passkey', passkeyName: 'Name', passkeyNameHint: 'So that you know it again: "phone", "blue key".', added: 'Added {time}', passkeyAdded: 'The passkey is registered.',
  lastUsed: 'Last used {time}', neverUsed: 'Not used yet', removePasskey: 'Remove', keepPasskey: 'Keep it', passkeyRemoved: 'The passkey is removed.', removeSure: 'Remove it for good? It signs nothing any more. What it has signed stays valid and can be checked.',
  removeLast: 'It is your only one: you can approve nothing until you have added another.', passkeyNeeded: 'Your passkey was removed. To approve again, add another. To say no you need none.',
  passkeyCancelled: 'The passkey was not used: cancelled, or none of yours is on this device.', passkeyKnown: 'This device has a passkey of yours already.', passkeyUnsupported: 'This browser cannot use passkeys here. They need https and a host name, not an address.',
  sessionsIntro: 'Where you are logged in. Ending a session cuts what it is doing at once.', noSessions: 'You have no sessions', endSession: 'End', sessionEnded: 'The session is ended.', inBrowser: 'In a browser',
  onCommandLine: 'On the command line', byMcpClient: 'An MCP client', thisOne: 'This one', lockedState: 'Locked', opened: 'Opened', lastWork: 'Last work', limits: 'Only', client: 'Client', session: 'Session',
  hours: '{h} h {m} min', minutes: '{m} min {s} s', seconds: '{s} s',
};

const GERMAN = {
  approvals: 'Freigaben', passkeys: 'Passkeys', sessions: 'Sitzungen', logout: 'Abmelden', skip: 'Zum Inhalt', approvalRequest: 'Freigabeanfrage',
  loading: 'Wird geladen …', waitingForYou: 'Wartet auf Sie', waitingForOthers: 'Wartet auf andere', decided: 'Kürzlich entschieden',
  nothingWaits: 'Nichts wartet auf Sie', nothingWaitsMore: 'Ein Aufruf, den eine Regel zur Freigabe anhält, erscheint hier von selbst. Im Terminal: ',
  nothingAtAll: 'Hier stehen Anfragen, die Sie gestellt haben oder entscheiden dürfen.',
  pending: 'Wartet', approved: 'Freigegeben, noch nicht benutzt', denied: 'Abgelehnt', expired: 'Abgelaufen', withdrawn: 'Zurückgezogen', redeemed: 'Freigegeben und ausgeführt',
  tool: '{who} möchte {what} aufrufen', sql: '{who} möchte SQL auf {what} ausführen', prompt: '{who} möchte den Prompt {what}', resource: '{who} möchte {what} lesen',
  completion: '{who} möchte {what} vervollständigen', inClear: 'zeigt {who} bis zu {n} Werte von {what} unmaskiert', inClearWhy: 'Angegebener Grund', noReason: 'keiner',
  read: 'liest Daten', call: 'ruft ein Werkzeug auf, das Daten ändern kann', write: 'ändert Daten', ddl: 'ändert die Struktur der Datenbank', admin: 'ändert Rechte oder Einstellungen', none: 'wirkt nicht auf Daten',
  votesOf: '{n} von {need} Freigaben', left: 'noch {time}', ended: 'Zeit ist abgelaufen', on: 'auf {connection}',
  whatExactly: 'Was genau', whoAsks: 'Wer fragt', whyItWaits: 'Warum es wartet', votesSoFar: 'Stimmen', yourDecision: 'Ihre Entscheidung', forTheRecord: 'Für die Akten',
  emptyText: 'leerer Text', noArguments: 'Keine Argumente.', parameters: 'Parameter', cut: 'Der Text wurde zum Speichern gekürzt: hier stehen nur {n} von {all} Bytes. Lehnen Sie ab, wenn Sie den Rest nicht kennen.',
  masked: 'Kartennummern und andere Geheimnisse sind maskiert. Ausgeführt wird genau das Angefragte, nicht das hier Gezeigte.',
  person: 'Person', agent: 'Agent', owner: 'Verantwortlich', groups: 'Gruppen', account: 'Konto', connection: 'Verbindung', effect: 'Wirkung',
  rules: 'Regeln', why: 'Warum', flow: 'Freigabeweg', id: 'Anfrage', digest: 'Prüfsumme', policyVersion: 'Regelstand', asked: 'Gefragt', ends: 'Endet', decisionId: 'Entscheidung',
  noVotes: 'Noch hat niemand gestimmt.', votedApprove: 'hat freigegeben', votedDeny: 'hat abgelehnt', withPasskey: 'mit Passkey', withoutPasskey: 'ohne Passkey',
  reason: 'Grund', reasonRequired: 'Grund (nötig)', reasonOptional: 'Grund (wenn Sie mögen)', reasonMissing: 'Schreiben Sie, warum: hier ist ein Grund nötig.',
  reasonHint: 'Er steht im Protokoll und wird dem gezeigt, der gefragt hat.', approve: 'Freigeben', approveKey: 'Mit Passkey freigeben', deny: 'Ablehnen', working: 'Einen Moment …',
  exactlyOnce: 'Freigegeben läuft genau dies, einmal, nur für {who}.', setUpPasskey: 'Richten Sie einen Passkey ein, um Entscheidungen zu signieren.',
  doneApprove: 'Ihre Freigabe ist festgehalten.', doneDeny: 'Ihre Ablehnung ist festgehalten.', moreNeeded: 'Es braucht weitere Freigaben.',
  'may-not': 'Das können Sie nicht entscheiden', requester: 'Sie haben das selbst angefragt. Jemand anderes muss entscheiden.',
  'same-person': 'Das kam von einem anderen Konto von Ihnen. Jemand anderes muss entscheiden.', 'agent-owner': 'Sie sind für den Agenten verantwortlich, der fragt. Jemand anderes muss entscheiden.',
  'not-an-approver': 'Sie gehören nicht zu denen, die hier freigeben.', 'joined-late': 'Sie kamen erst nach der Anfrage zu denen, die hier freigeben.',
  voted: 'Sie haben schon gestimmt.', 'groups-incomplete': 'Ihr Anbieter hat nicht alle Ihre Gruppen genannt; ob Sie entscheiden dürfen, ist unbekannt.', 'not-a-person': 'Nur ein Mensch entscheidet.', 'not-pending': 'Es ist nicht mehr offen.',
  stale: 'Die Verbindung ist weg. Was Sie sehen, kann veraltet sein; es wird neu versucht.', fresh: 'Wieder verbunden.', retry: 'Noch einmal', backToList: 'Alle Anfragen',
  notPermitted: 'Nicht für Sie bestimmt', notPermittedMore: 'Sie sind als {name} angemeldet und haben dies weder angefragt noch zu entscheiden.',
  notFound: 'Diese Anfrage gibt es nicht', notFoundMore: 'Der Link ist vielleicht falsch, oder die Anfrage ist lange vorbei: dann steht sie im Protokoll.', failed: 'Das ging nicht', locked: 'Ihre Sitzung ist gesperrt', lockedMore: 'Sie waren eine Weile weg.', unlock: 'Entsperren', login: 'Anmelden', loggedOut: 'Sie sind nicht angemeldet', secondFactor: 'Ein zweiter Faktor ist nötig', secondFactorMore: 'Dafür braucht es eine Anmeldung mit zweitem Faktor. Melden Sie sich neu an; bleibt es so, fragen Sie, wer den Identitätsanbieter betreibt.',
  changed: 'Diese Anfrage hat sich geändert: {state}', newRequest: 'Eine neue Anfrage wartet',
  passkeysIntro: 'Ein Passkey signiert jede Ihrer Entscheidungen mit einem Schlüssel, der Ihr Gerät nie verlässt. Die Signatur kann später jeder im Protokoll prüfen. Haben Sie einen, zählt Ihre Stimme nur noch mit ihm.',
  noPasskeys: 'Sie haben noch keinen Passkey', addPasskey: 'Passkey hinzufügen', passkeyName: 'Name', passkeyNameHint: 'Damit Sie ihn wiedererkennen: „Telefon“, „blauer Schlüssel“.', added: 'Hinzugefügt {time}', passkeyAdded: 'Der Passkey ist registriert.',
  lastUsed: 'Zuletzt benutzt {time}', neverUsed: 'Noch nicht benutzt', removePasskey: 'Entfernen', keepPasskey: 'Behalten', passkeyRemoved: 'Der Passkey ist entfernt.', removeSure: 'Endgültig entfernen? Er signiert dann nichts mehr. Was er signiert hat, bleibt gültig und prüfbar.',
  removeLast: 'Es ist Ihr einziger: Sie können nichts freigeben, bis Sie einen anderen hinzugefügt haben.', passkeyNeeded: 'Ihr Passkey wurde entfernt. Um wieder freizugeben, fügen Sie einen anderen hinzu. Zum Ablehnen brauchen Sie keinen.',
  passkeyCancelled: 'Der Passkey wurde nicht benutzt: abgebrochen, oder keiner von Ihren ist auf diesem Gerät.', passkeyKnown: 'Dieses Gerät hat schon einen Passkey von Ihnen.', passkeyUnsupported: 'Dieser Browser kann hier keine Passkeys benutzen. Sie brauchen https und einen Namen statt einer Adresse.',
  sessionsIntro: 'Wo Sie angemeldet sind. Eine Sitzung zu beenden trennt sofort, was sie tut.', noSessions: 'Sie haben keine Sitzungen', endSession: 'Beenden', sessionEnded: 'Die Sitzung ist beendet.', inBrowser: 'In einem Browser',
  onCommandLine: 'Auf der Kommandozeile', byMcpClient: 'Ein MCP-Programm', thisOne: 'Diese hier', lockedState: 'Gesperrt', opened: 'Begonnen', lastWork: 'Zuletzt benutzt', limits: 'Nur', client: 'Programm', session: 'Sitzung',
  hours: '{h} h {m} min', minutes: '{m} min {s} s', seconds: '{s} s',
};

const asked = new URLSearchParams(location.search).get('lang') ?? navigator.language;
export const language = asked.toLowerCase().startsWith('de') ? 'de' : 'en';
const WORDS = language === 'de' ? GERMAN : ENGLISH;
document.documentElement.lang = language;

export function known(key) {
  return Object.hasOwn(WORDS, key);
}

/** The text of a key, with {names} replaced. */
export function t(key, values = {}) {
  return (WORDS[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The parts of a text around its {names}, nodes in place of them. */
export function parts(key, nodes) {
  return (WORDS[key] ?? key).split(/(\{\w+\})/).map((part) => nodes[part.slice(1, -1)] ?? part);
}

/** An address with the language that was asked for kept. */
export function link(path) {
  return new URLSearchParams(location.search).has('lang') ? `${path}?lang=${language}` : path;
}
