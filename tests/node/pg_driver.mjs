// What test_pg_drivers.py asks of a driver, by node-postgres: one JSON object.
import { readFileSync } from 'node:fs';
import pg from 'pg';

const [host, port, user, database, ca] = process.argv.slice(2);
const config = { host, port: Number(port), user, database, password: process.env.PGPASSWORD,
                 ssl: ca ? { ca: readFileSync(ca), servername: 'localhost' } : false };
pg.types.setTypeParser(1184, (text) => text);

const open = async () => { const c = new pg.Client(config); await c.connect(); return c; };
const rows = (result) => result.rows.map((row) => Object.values(row));
const out = {};
const c = await open();
const ask = async (text, values) => rows(await c.query({ text, values, rowMode: undefined }));

out.simple = await ask('SELECT id, label, qty, price FROM items WHERE id <= 3 ORDER BY id');
out.masked = await ask('SELECT id, card_number, cvv FROM cards ORDER BY id');
out.prepared = [];
for (let id = 1; id <= 8; id++)
  out.prepared.push(rows(await c.query({ name: 'by-id', text: 'SELECT label, made FROM items WHERE id = $1', values: [id] })));
const binary = await c.query({ text: 'SELECT id, qty, big FROM items WHERE id <= $1 ORDER BY id', values: [5], binary: true });
out.binary = rows(binary).map((row) => row.map(String));
await c.query('BEGIN');
await Promise.all(Array.from({ length: 50 }, (_, i) => c.query('INSERT INTO written(id, t) VALUES ($1, $2)', [1000 + i, `row ${i}`])));
out.batch = await ask('SELECT count(*)::int AS n, min(id) AS a, max(t) AS b FROM written WHERE id >= 1000');
await c.query('ROLLBACK');
out.several = (await c.query('SELECT 1 AS a; SELECT label FROM items WHERE id = 2')).map(rows);

const slow = await open();
slow.on('error', () => {});
const begin = Date.now();
const running = slow.query('SELECT pg_sleep(20)').then(() => 'not cancelled', (error) => error.code);
setTimeout(() => {
  const canceller = new pg.Client(config);
  canceller.connection.once('connect', () => {});
  // pg's own cancel: a connection that sends CancelRequest with the session's key
  canceller.cancel(slow, slow.activeQuery ?? slow._activeQuery);
}, 400);
out.cancel = [await running, Date.now() - begin < 10000];
out.cancel_after = rows(await slow.query('SELECT 1 AS one'));
await slow.end();

const all = await c.query('SELECT id, label FROM items ORDER BY id');
const long = await c.query("SELECT repeat('x', 3000000) AS x");
out.large = [all.rows.length, all.rows.reduce((n, r) => n + r.id + r.label.length, 0), long.rows[0].x.length];

const said = [];
await c.query('BEGIN');
await c.query("INSERT INTO written(id, t) VALUES (3001, 'a')");
await c.query('SAVEPOINT p');
await c.query('SELECT 1/0').catch((error) => said.push(error.code));
await c.query('SELECT 1').catch((error) => said.push(error.code));
await c.query('ROLLBACK TO p');
said.push(await ask('SELECT id, t FROM written WHERE id = 3001'));
await c.query('ROLLBACK');
said.push(await ask('SELECT count(*)::int AS n FROM written WHERE id = 3001'));
out.tx_error = said;
await c.end();
console.log(JSON.stringify(out));
