// One contender, one job, in a process of its own: prints {"value", "cpu", "p50"?, "p99"?}; cpu is the processor time
// of each of the job's `count`, in microseconds.
// usage: node bench/pipes/contender.mjs node|direct|portable JOB ARGS
import dgram from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';

const [kind, job, text] = process.argv.slice(2);
const args = JSON.parse(text);
const isNode = kind === 'node';
const routepool = isNode ? undefined : await import('../../dist/index.js');
routepool?.setPipeReader(kind);
const host = '127.0.0.1';
const now = () => Number(process.hrtime.bigint()) / 1e3;

/** A flow: onData(handler), send(data, done?), close(). Both kinds are used as their users would. */
async function open(protocol, port) {
  if (!isNode) {
    const pipe = await routepool.pipeOpen(protocol, [host, port]);
    return {
      onData: (handler) => pipe.on('message', handler),
      send: (data) => pipe.send(data),
      close: () => pipe.close(),
      raw: pipe,
    };
  }
  if (protocol === 'tcp') {
    const socket = connect({ port, host, noDelay: true });
    await once(socket, 'connect');
    const send = (data) => (socket.write(data) ? undefined : new Promise((resolve) => socket.once('drain', resolve)));
    return { onData: (handler) => socket.on('data', handler), send, close: () => socket.destroy(), raw: socket };
  }
  const socket = dgram.createSocket('udp4');
  socket.connect(port, host);
  await once(socket, 'connect');
  return {
    onData: (handler) => socket.on('message', handler),
    send: (data) => socket.send(data),
    close: () => socket.close(),
    raw: socket,
  };
}

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

/** Each flow sends 64 bytes, and the next when they are back. */
async function pingPong(flows, count) {
  const ball = Buffer.alloc(64, 'b');
  const times = new Float64Array(count);
  let done = 0;
  let started = 0;
  const begin = now();
  await new Promise((resolve) => {
    for (const flow of flows) {
      let sent = now();
      let size = 0;
      flow.onData((data) => {
        // A stream may cut the ball.
        size += data.length;
        if (size < ball.length) return;
        size = 0;
        const time = now();
        if (done < count) times[done++] = time - sent;
        if (done === count) resolve();
        if (started >= count) return;
        started++;
        sent = time;
        flow.send(ball);
      });
      started++;
      flow.send(ball);
    }
  });
  const seconds = (now() - begin) / 1e6;
  times.sort();
  return { value: count / seconds, p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

const jobs = {
  async 'ping'({ protocol, pipes, count, ports }) {
    const flows = await Promise.all(Array.from({ length: pipes }, () => open(protocol, ports.echo[protocol])));
    await pingPong(flows, Math.min(2_000, count));
    for (const flow of flows) flow.raw.removeAllListeners(isNode && protocol === 'tcp' ? 'data' : 'message');
    return pingPong(flows, count);
  },

  /** The same in the style of promises: node:events' once for Node, recv for routepool. */
  async 'await'({ protocol, count, ports }) {
    const flow = await open(protocol, ports.echo[protocol]);
    const ball = Buffer.alloc(64, 'b');
    const begin = now();
    for (let i = 0; i < count; i++) {
      if (isNode) {
        const answer = once(flow.raw, 'message');
        flow.send(ball);
        await answer;
      } else {
        await flow.send(ball);
        await flow.raw.recv();
      }
    }
    return { value: count / ((now() - begin) / 1e6) };
  },

  /** As fast as the kernel takes it, with the back pressure that each has. */
  async 'send'({ protocol, size, count, ports }) {
    const flow = await open(protocol, ports.sink[protocol]);
    const data = Buffer.alloc(size, 'x');
    const begin = now();
    if (protocol === 'udp' && isNode) {
      // 64 under way: what a careful user does, since send() has no back pressure of its own.
      await new Promise((resolve) => {
        let sent = 0;
        let done = 0;
        const next = () => {
          if (++done === count) resolve();
          else if (sent < count) {
            sent++;
            flow.raw.send(data, next);
          }
        };
        for (; sent < Math.min(64, count); sent++) flow.raw.send(data, next);
      });
    } else {
      for (let i = 0; i < count; i++) await flow.send(data);
    }
    const seconds = (now() - begin) / 1e6;
    return { value: protocol === 'udp' ? count / seconds : (count * size) / seconds / 1e6 };
  },

  async 'receive'({ protocol, size, count, ports }) {
    const flow = await open(protocol, ports.source[protocol]);
    const begin = now();
    if (protocol === 'tcp') {
      let left = count * size;
      await new Promise((resolve) => flow.onData((data) => ((left -= data.length) <= 0 ? resolve() : undefined)));
      return { value: (count * size) / ((now() - begin) / 1e6) / 1e6 };
    }
    // As many at a time as the default buffer holds, by the kernel's way of counting (2,304 bytes for 1,200).
    const burst = Math.min(50, count);
    const ask = Buffer.from(`${size} ${burst}`);
    let got = 0;
    let timer;
    await new Promise((resolve) => {
      const lost = () => {
        // The rest of the burst was dropped: ask for the next one.
        got += burst - (got % burst);
        timer.refresh();
        if (got >= count) resolve();
        else flow.send(ask);
      };
      timer = setTimeout(lost, 200);
      flow.onData(() => {
        if (++got % burst !== 0) return;
        timer.refresh();
        if (got >= count) resolve();
        else flow.send(ask);
      });
      flow.send(ask);
    });
    clearTimeout(timer);
    return { value: got / ((now() - begin) / 1e6) };
  },

  async 'connect'({ count, atOnce, ports }) {
    let left = count;
    const worker = async () => {
      while (left-- > 0) {
        const flow = await open('tcp', ports.sink.tcp);
        // A reset leaves no TIME-WAIT, which would use up the ports.
        if (isNode) flow.raw.resetAndDestroy();
        else flow.raw.reset();
      }
    };
    const begin = now();
    await Promise.all(Array.from({ length: atOnce }, worker));
    return { value: count / ((now() - begin) / 1e6) };
  },

  async 'open'({ count, ports }) {
    const begin = now();
    for (let i = 0; i < count; i++) {
      const flow = await open('udp', ports.sink.udp);
      flow.close();
    }
    return { value: count / ((now() - begin) / 1e6) };
  },

  async 'idle'({ protocol, count, ports }) {
    (await open(protocol, ports.sink[protocol])).close();
    const settle = async () => {
      for (let i = 0; i < 3; i++) {
        globalThis.gc();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return process.memoryUsage().rss;
    };
    const before = await settle();
    const flows = [];
    for (let i = 0; i < count; i++) {
      const flow = await open(protocol, ports.sink[protocol]);
      flow.onData(() => undefined);
      flows.push(flow);
    }
    const bytes = (await settle()) - before;
    for (const flow of flows) {
      if (protocol === 'tcp') (isNode ? flow.raw.resetAndDestroy : flow.raw.reset).call(flow.raw);
    }
    return { value: bytes / count };
  },

  /** A source's bytes to a sink. */
  async 'relay'({ size, count, ports }) {
    const [from, to] = await Promise.all([open('tcp', ports.source.tcp), open('tcp', ports.sink.tcp)]);
    const bytes = size * count;
    const begin = now();
    if (isNode) {
      from.raw.pipe(to.raw);
      await new Promise((resolve) => from.raw.on('data', () => (to.raw.bytesWritten >= bytes ? resolve() : undefined)));
    } else {
      const over = from.raw.relay(to.raw);
      const tick = () => (to.raw.bytesSent >= bytes ? from.raw.destroy() : setTimeout(tick, 1));
      tick();
      await over;
    }
    return { value: bytes / ((now() - begin) / 1e6) / 1e6 };
  },

  /** Client -> relay -> echo and back: what the relay adds to a round trip. */
  async 'relay-ping'({ count, ports }) {
    const client = dgram.createSocket('udp4').bind(0, host);
    await once(client, 'listening');
    const [front, back] = await Promise.all([open('udp', client.address().port), open('udp', ports.echo.udp)]);
    if (isNode) {
      front.onData((data) => back.send(data));
      back.onData((data) => front.send(data));
    } else {
      front.raw.relay(back.raw);
    }
    const { port } = isNode ? front.raw.address() : { port: front.raw.localPort };
    const flow = { onData: (handler) => client.on('message', handler), send: (data) => client.send(data, port, host) };
    return pingPong([flow], count);
  },
};

const before = process.cpuUsage();
const result = await jobs[job](args);
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ cpu: (user + system) / args.count, ...result }));
process.exit(0);
