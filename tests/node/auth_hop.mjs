// A hop that adds `Authorization: Bearer` and changes nothing else: the conformance suite and
// other clients of the tests have no option for a header. Host and Origin go on as they came, so
// that the scenario for DNS rebinding reaches the gateway unweakened. Nothing is buffered.
//   node auth_hop.mjs --port 0 --to 127.0.0.1:PORT --token-file FILE [--prefix /mcp/conformance]
import fs from 'node:fs';
import http from 'node:http';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({ options: {
  port: { type: 'string', default: '0' },
  to: { type: 'string' },
  'token-file': { type: 'string' },
  'own-host': { type: 'string' }, // sends this Host when the client named the hop itself
} });
const [hostname, port] = flags.to.split(':');
const token = fs.readFileSync(flags['token-file'], 'utf8').trim();
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
let self = '';

const server = http.createServer((req, res) => {
  const headers = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i];
    let value = req.rawHeaders[i + 1];
    if (/^(connection|authorization)$/i.test(name)) continue;
    // The client's own, honest address of this hop becomes the gateway's; any other Host stays.
    if (/^(host|origin)$/i.test(name)) value = value.replace(self, flags.to).replace(self.replace('127.0.0.1', 'localhost'), flags.to);
    headers.push(name, value);
  }
  headers.push('Authorization', `Bearer ${token}`);
  const out = http.request({ hostname, port, method: req.method, path: req.url, headers, agent, setHost: false },
    (answer) => {
      res.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
      answer.on('data', (chunk) => res.write(chunk));
      answer.on('end', () => res.end());
      answer.on('error', () => res.destroy());
    });
  out.on('error', () => res.destroy());
  res.on('close', () => out.destroy());
  req.pipe(out);
});
server.listen(Number(flags.port), '127.0.0.1', () => {
  self = `127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ port: server.address().port }));
});
process.on('SIGTERM', () => process.exit(0));
