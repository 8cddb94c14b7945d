// What both SDK clients do: read one JSON script from stdin, run its steps, print one JSON line per
// step and a last one with everything that came in between. A script:
//   {"url": "...", "token": "...", "era": "auto|modern|legacy", "steps": [{"op": "call", ...}]}
//   {"command": ["node", "x.mjs"], ...} for stdio
// "capabilities" replaces what the client declares; then only the handlers that fit are registered.
// ops: list | call {name, args, progress, reset, abort_after_ms, timeout_ms} | resources | read {uri}
//      | prompts | prompt {name, args} | complete {ref, argument} | wait {ms} | ping
import { readFileSync } from 'node:fs';

export const script = JSON.parse(readFileSync(0, 'utf8'));
export const came = { notifications: [], elicitations: [], samplings: [] };
export const capabilities = script.capabilities ?? { elicitation: {}, sampling: {}, roots: {} };

const plain = (value) => JSON.parse(JSON.stringify(value ?? null));
const failure = (error) => ({
  name: error?.constructor?.name, code: error?.code ?? null, message: String(error?.message ?? error), data: plain(error?.data),
});

export function elicited(request) {
  came.elicitations.push(plain(request.params));
  return script.elicit ?? { action: 'accept', content: { name: 'Ada' } };
}

export function sampled(request) {
  came.samplings.push(plain(request.params));
  return { role: 'assistant', content: { type: 'text', text: 'forty-two' }, model: 'test', stopReason: 'endTurn' };
}

export const roots = () => ({ roots: [{ uri: 'file:///work', name: 'work' }] });

export async function run(client, adapt) {
  const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
  for (const step of script.steps) {
    const progress = [];
    const options = {};
    const begun = Date.now();
    if (step.progress) options.onprogress = (value) => progress.push({ ...plain(value), at: Date.now() - begun });
    if (step.reset) options.resetTimeoutOnProgress = true;
    if (step.timeout_ms) options.timeout = step.timeout_ms;
    if (step.abort_after_ms) {
      const controller = new AbortController();
      options.signal = controller.signal;
      setTimeout(() => controller.abort('not wanted any more'), step.abort_after_ms);
    }
    try {
      let result;
      switch (step.op) {
        case 'list': result = await client.listTools(); break;
        case 'call': result = await adapt.call({ name: step.name, arguments: step.args ?? {} }, options); break;
        case 'resources': result = await client.listResources(); break;
        case 'read': result = await client.readResource({ uri: step.uri }); break;
        case 'prompts': result = await client.listPrompts(); break;
        case 'prompt': result = await client.getPrompt({ name: step.name, arguments: step.args ?? {} }); break;
        case 'complete': result = await client.complete({ ref: step.ref, argument: step.argument }); break;
        case 'ping': result = await client.ping(); break;
        case 'wait': result = await new Promise((resolve) => setTimeout(() => resolve({}), step.ms)); break;
        default: throw new Error(`unknown op ${step.op}`);
      }
      print({ step: step.op, result: plain(result), progress, ms: Date.now() - begun });
    } catch (error) {
      print({ step: step.op, error: failure(error), progress, ms: Date.now() - begun });
    }
  }
  print({ step: 'end', ...came, version: adapt.version?.() ?? null, instructions: client.getInstructions?.() ?? null });
  await client.close().catch(() => {});
}

export function fail(error) {
  process.stdout.write(`${JSON.stringify({ step: 'connect', error: failure(error) })}\n`);
  process.exit(0);
}
