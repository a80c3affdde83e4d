// One contender, one run, in a process of its own: prints {"sources","ok","seconds","cpuSeconds","maxRssMiB"}.
// usage: node bench/contender.mjs verdicts|batches|naive BLOCK [CONCURRENCY]
import dgram from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { validate, StunServer } from 'routepool';

const [kind, block = '127.16.0.0/16', concurrency = '256'] = process.argv.slice(2);
const contenders = { verdicts, batches, naive };
const [start, usedBefore] = [process.hrtime.bigint(), process.cpuUsage()];
const { sources, ok, seconds } = await contenders[kind](block);
const elapsed = seconds ?? Number(process.hrtime.bigint() - start) / 1e9;
const used = process.cpuUsage(usedBefore);
const cpuSeconds = (used.user + used.system) / 1e6;
console.log(
  JSON.stringify({ sources, ok, seconds: elapsed, cpuSeconds, maxRssMiB: process.resourceUsage().maxRSS / 1024 }),
);

/** A verdict object for each source. */
async function verdicts() {
  let ok = 0;
  let sources = 0;
  for await (const verdict of validate(block)) {
    sources++;
    if (verdict.status === 'ok') ok++;
  }
  return { sources, ok };
}

/** The packed records, each looked at. */
async function batches() {
  let ok = 0;
  let sources = 0;
  for await (const { bytes } of validate(block).batches()) {
    for (let at = 36; at < bytes.length; at += 48) {
      sources++;
      if (bytes[at] === 1) ok++;
    }
  }
  return { sources, ok };
}

/** A socket for each source: bind, ask, wait for the answer, close; some at a time. The responder is the same one. */
async function naive() {
  const server = StunServer.listen();
  const [first, length] = block.split('/');
  const base = first.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const count = 2 ** (32 - Number(length));
  let next = 0;
  let ok = 0;
  const begin = process.hrtime.bigint();
  const worker = async () => {
    while (next < count) {
      const number = base + next++;
      const ip = [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
      if ((await ask(ip, server)) === ip) ok++;
    }
  };
  await Promise.all(Array.from({ length: Number(concurrency) }, worker));
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  await server.close();
  return { sources: count, ok, seconds };
}

/** Asks from one source; gives the address that the server saw. */
function ask(ip, server) {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    const request = Buffer.concat([Buffer.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]), randomBytes(12)]);
    const done = (seen) => {
      clearTimeout(timer);
      socket.close();
      resolve(seen);
    };
    const timer = setTimeout(done, 2_000);
    socket.on('message', (message) => {
      if (message.length < 32 || !message.subarray(8, 20).equals(request.subarray(8))) return;
      done([0x21, 0x12, 0xa4, 0x42].map((mask, i) => message[28 + i] ^ mask).join('.'));
    });
    socket.on('error', () => done());
    socket.bind(0, ip, () => socket.send(request, server.port, server.address));
  });
}
