// 60,000 TCP connections from one pool to one listener on this machine's loopback block, all open at the same time.
// Sources and listener are spread over processes, since a process may have only so many descriptors.
// usage: node bench/connections.mjs [--smoke] [--connections N]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describeMachine } from './harness.mjs';

const self = fileURLToPath(import.meta.url);
const PROCESSES = 4;
const [role = '', ...rest] = process.argv.slice(2);

if (role === 'accept') {
  const most = Number(rest[0]);
  const held = [];
  process.on('message', (_, server) => {
    server.on('connection', (socket) => {
      held.push(socket.on('error', () => undefined));
      if (held.length === most) server.close();
      process.send(held.length);
    });
    process.send('listening');
  });
  process.on('disconnect', () => process.exit(0));
} else if (role === 'connect') {
  const { pipeOpen, TCP, validate } = await import('../dist/index.js');
  const [first, count, port] = rest.map(Number);
  const pool = await validate('127.50.0.0/20').pool();
  const pipes = [];
  let next = first;
  const begin = performance.now();
  const worker = async () => {
    // Each worker takes the next number: sources in turn.
    for (let k = next++; k < first + count; k = next++)
      pipes.push(await pipeOpen(TCP, ['127.0.0.1', port], pool.at(k % pool.length)));
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  const seconds = (performance.now() - begin) / 1_000;
  const sources = new Set(pipes.map((pipe) => pipe.localAddress));
  const ports = new Set(pipes.map((pipe) => pipe.localPort));
  process.send({
    open: pipes.filter((pipe) => !pipe.closed).length,
    sources: sources.size,
    ports: ports.size,
    seconds,
  });
  process.on('message', () => {
    // A reset leaves no TIME-WAIT behind.
    for (const pipe of pipes) pipe.reset();
    process.disconnect();
  });
} else {
  const smoke = process.argv.includes('--smoke');
  const at = process.argv.indexOf('--connections');
  const total = at < 0 ? (smoke ? 400 : 60_000) : Number(process.argv[at + 1]);
  const each = Math.ceil(total / PROCESSES);
  console.log(`${describeMachine()}\n`);
  const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 4_096 });
  await once(server, 'listening');
  const { port } = server.address();
  const accepted = new Map();
  // A little more each than its share: they take what comes.
  const acceptors = Array.from({ length: PROCESSES }, () => fork(self, ['accept', String(Math.ceil(each * 1.2) + 50)]));
  await Promise.all(
    acceptors.map(async (child) => {
      child.send('server', server);
      await once(child, 'message');
      child.on('message', (held) => accepted.set(child, held));
    }),
  );
  server.close();
  const began = performance.now();
  const connectors = Array.from({ length: PROCESSES }, (_, i) =>
    fork(self, ['connect', String(i * each), String(each), String(port)]),
  );
  const results = await Promise.all(
    connectors.map(async (child) => {
      const [result] = await Promise.race([
        once(child, 'message'),
        once(child, 'exit').then(() => Promise.reject(new Error('a process of the bench has ended'))),
      ]);
      return result;
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  const open = results.reduce((sum, { open: each }) => sum + each, 0);
  const held = [...accepted.values()].reduce((sum, each) => sum + each, 0);
  const number = (value) => Math.round(value).toLocaleString('en-US');
  console.log(
    `${number(open)} connections open at the same time from ${number(results[0].sources)} sources to one listener, ${number(held)} of them accepted, in ${seconds.toFixed(1)} s with the start of ${PROCESSES} processes (${number(open / Math.max(...results.map((each) => each.seconds)))} a second)`,
  );
  for (const child of connectors) child.send('end');
  await Promise.all(connectors.map((child) => once(child, 'exit')));
  for (const child of acceptors) child.disconnect();
  if (open < each * PROCESSES) process.exitCode = 1;
}
