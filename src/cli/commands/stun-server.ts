/** `routepool stun-server`. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { availableParallelism } from 'node:os';
import { chooseStunAddresses, StunServer } from '../../index.ts';
import { METRICS_TYPE } from '../../stun-server/metrics.ts';
import { EXIT } from '../exit-codes.ts';
import { inCommandWords, numberOf, parseOptions } from '../parse-options.ts';
import { count } from '../text/progress-bar.ts';
import { ServerLine, totals } from '../text/server-line.ts';
import { Style } from '../text/style.ts';
import { UsageError } from '../usage-error.ts';

const OPTIONS = {
  'port': { type: 'string', short: 'p' },
  'other-port': { type: 'string' },
  'advertise': { type: 'string', multiple: true },
  'server': { type: 'string', multiple: true },
  'timeout': { type: 'string' },
  'offline': { type: 'boolean' },
  'no-tcp': { type: 'boolean' },
  'rfc3489': { type: 'boolean' },
  'software': { type: 'string' },
  'allow': { type: 'string', multiple: true },
  'rate-per-prefix': { type: 'string' },
  'workers': { type: 'string' },
  'receive-buffer': { type: 'string' },
  'metrics': { type: 'string' },
  'json': { type: 'boolean' },
  'quiet': { type: 'boolean' },
} as const;

const NAMES: Readonly<Record<string, string>> = {
  address: 'ADDRESS',
  otherPort: '--other-port',
  ratePerPrefix: '--rate-per-prefix',
  receiveBuffer: '--receive-buffer',
  timeoutMs: '--timeout',
  servers: '--server',
};

/** IANA's port for STUN. */
const PORT = 3_478;

/** Runs the command; gives the exit code. */
export function stunServerCommand(args: string[]): Promise<number> {
  return inCommandWords(OPTIONS, NAMES, () => runCommand(args));
}

async function runCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions('stun-server', args, OPTIONS);
  const style = new Style(process.stdout);
  const metricsAt = values.metrics === undefined ? undefined : parseHostPort(values.metrics);
  const { address, advertise, notes } = await addresses(positionals, values);
  const workers =
    numberOf('--workers', values.workers) ?? (process.platform === 'linux' ? Math.min(availableParallelism(), 64) : 1);
  const port = numberOf('--port', values.port) ?? PORT;
  const server = listen({
    address,
    advertise,
    port,
    otherPort: numberOf('--other-port', values['other-port']),
    tcp: values['no-tcp'] !== true,
    rfc3489: values.rfc3489,
    software: values.software,
    allow: values.allow,
    ratePerPrefix: numberOf('--rate-per-prefix', values['rate-per-prefix']),
    workers,
    receiveBuffer: numberOf('--receive-buffer', values['receive-buffer']),
  });
  let metrics: Server | undefined;
  try {
    metrics = metricsAt && (await serveMetrics(server, metricsAt));
    const stopped = untilInterrupted();
    if (values.json)
      process.stdout.write(
        `${JSON.stringify({ endpoints: server.endpoints, workers, tcp: values['no-tcp'] !== true, notes })}\n`,
      );
    else process.stdout.write(describe(server, workers, values['no-tcp'] !== true, values.quiet ? [] : notes, style));
    const line = values.quiet ? undefined : ServerLine.for(process.stderr, server);
    await stopped;
    line?.end();
  } finally {
    metrics?.close();
    metrics?.closeAllConnections();
    await server.close();
  }
  const counters = server.counters();
  process.stdout.write(values.json ? `${JSON.stringify(counters)}\n` : `${totals(counters)}\n`);
  return EXIT.ok;
}

interface Chosen {
  address: string[];
  advertise: string[] | undefined;
  notes: string[];
}

async function addresses(
  given: string[],
  values: {
    advertise?: string[] | undefined;
    server?: string[] | undefined;
    timeout?: string | undefined;
    offline?: boolean | undefined;
  },
): Promise<Chosen> {
  if (given.length > 0) return { address: given, advertise: values.advertise, notes: missing(given) };
  if (values.advertise !== undefined)
    throw new UsageError('--advertise says what clients see instead of ADDRESS: name the addresses too');
  const chosen = await chooseStunAddresses({
    servers: values.server,
    timeoutMs: numberOf('--timeout', values.timeout),
    offline: values.offline ?? false,
  });
  if (chosen.address.length === 0) throw new UsageError(`no address to listen at: ${chosen.notes.join(' ')}`);
  return chosen;
}

/** What a server at these addresses cannot do. */
function missing(given: readonly string[]): string[] {
  const of = (six: boolean) => given.filter((ip) => ip.includes(':') === six);
  return [of(false), of(true)].flatMap((family) =>
    family.length === 1
      ? [
          `${family[0]} alone: clients get their address, but cannot test how their NAT behaves (RFC 5780); name a second address of this machine for that.`,
        ]
      : [],
  );
}

function listen(options: Parameters<typeof StunServer.listen>[0]): StunServer {
  try {
    return StunServer.listen(options);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (error instanceof Error && (syscall === 'bind' || syscall === 'listen')) {
      if (code === 'EADDRINUSE') error.message += ': another program listens there; stop it or choose another --port';
      if (code === 'EADDRNOTAVAIL')
        error.message +=
          ': this machine does not hold that address; behind a NAT name the private one, and the public one with --advertise';
      if (code === 'EACCES') error.message += ': ports below 1024 need a privilege; the usual port is 3478';
    }
    throw error;
  }
}

function describe(server: StunServer, workers: number, tcp: boolean, notes: readonly string[], style: Style): string {
  const { endpoints } = server;
  const lines = [4, 6].flatMap((family) => {
    const own = endpoints.filter(({ address }) => address.includes(':') === (family === 6));
    if (own.length === 0) return [];
    const name = ({ address, advertised }: (typeof own)[number]) =>
      address === advertised ? address : `${address} (${advertised})`;
    const names = [...new Set(own.map(name))].join(' and ');
    const ports = [...new Set(own.map(({ port }) => port))];
    const what = own.length === 4 ? style.good('answers from either: RFC 5780') : style.doubtful('plain: no RFC 5780');
    return [`IPv${family}  ${names}, port${ports.length > 1 ? 's' : ''} ${ports.join(' and ')}  ${what}`];
  });
  const head = `STUN server over UDP${tcp ? ' and TCP' : ''}, ${workers} ${workers === 1 ? 'thread' : 'threads'}`;
  return `${[head, ...lines.map((line) => `  ${line}`), ...notes.map((note) => style.dim(`  ${note}`))].join('\n')}\n`;
}

function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = () => {
      if (asked) process.exit(EXIT.interrupted);
      asked = true;
      resolve();
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
    // A reader that closed the pipe wants no more of it.
    process.stdout.on('error', stop);
  });
}

function parseHostPort(text: string): { host: string; port: number } {
  const match = /^(?:(\[[\da-f:.]+\]|[^:[\]]+):)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) throw new UsageError(`expected PORT or HOST:PORT for --metrics but received '${text}'`);
  return { host: match[1]?.replace(/^\[|\]$/g, '') ?? '127.0.0.1', port };
}

async function serveMetrics(server: StunServer, { host, port }: { host: string; port: number }): Promise<Server> {
  const http = createServer((request, response) => {
    if (request.url === '/metrics' && (request.method === 'GET' || request.method === 'HEAD')) {
      response.writeHead(200, { 'Content-Type': METRICS_TYPE }).end(server.metrics());
    } else {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('metrics are at /metrics\n');
    }
  });
  http.listen(port, host);
  await once(http, 'listening');
  const bound = http.address();
  if (typeof bound === 'object' && bound !== null)
    process.stderr.write(
      `metrics at http://${host.includes(':') ? `[${host}]` : host}:${count(bound.port).replaceAll(',', '')}/metrics\n`,
    );
  return http;
}
