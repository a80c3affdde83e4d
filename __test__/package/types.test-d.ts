/** Compiled, never run: the public types say what is promised. */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import {
  Daemon,
  describeNat,
  Interface,
  IP4,
  pipeOpen,
  pipeStats,
  RoutePoolError,
  setPipeReader,
  StunServer,
  TCP,
  UDP,
  validate,
  watch,
  type AddressRange,
  type AddressScope,
  type BoundRoute,
  type DaemonServer,
  type DefaultRoute,
  type Endpoint,
  type ListenTargets,
  type Message,
  type Nat,
  type NatExplanation,
  type NatFiltering,
  type NatMapping,
  type NatViolation,
  type NetworkChange,
  type Pipe,
  type PipeData,
  type PipePeer,
  type PipeReader,
  type PipeSource,
  type Route,
  type RoutePicker,
  type RoutePool,
  type ValidationSummary,
  type Verdict,
  type VerdictOf,
  type VerdictStatus,
} from '../../src/index.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

export async function promises(verdict: Verdict, error: unknown): Promise<void> {
  const run = validate(['10.0.0.0/24'], { ratePerSecond: 5, sample: { perPrefix: 64 }, seed: 1n });
  for await (const each of run) same<typeof each, Verdict>(true);
  for await (const batch of run.batches()) same<ReturnType<typeof batch.at>, Verdict | undefined>(true);
  same<Awaited<ReturnType<typeof run.summary>>, ValidationSummary>(true);
  const [limit] = (await run.summary()).limits;
  if (limit !== undefined) {
    same<keyof typeof limit, 'first' | 'last' | 'ratePerSecond' | 'unknown' | 'neededMs'>(true);
    same<typeof limit.first, string>(true);
    same<typeof limit.neededMs, number>(true);
  }
  same<Awaited<ReturnType<typeof run.pool>>, RoutePool>(true);
  run.on('progress', ({ etaMs }) => same<typeof etaMs, number | undefined>(true));

  // A verdict has the facts of its status, and only those.
  if (verdict.status === 'mapped') same<typeof verdict.external, string>(true);
  if (verdict.status === 'send-error') same<typeof verdict.errno, number>(true);
  if (verdict.status === 'unknown')
    same<
      typeof verdict.reason,
      | 'loss'
      | 'nat-ports'
      | 'network-lost'
      | 'servers-disagree'
      | 'rate-limited'
      | 'flow-table'
      | 'unprotected-reply'
      | 'sometimes-refused'
    >(true);
  if (verdict.status === 'ok') same<ReturnType<typeof verdict.toJSON>['external'], string>(true);
  // @ts-expect-error a silent source has no external address
  if (verdict.status === 'no-reply') void verdict.external;
  same<VerdictOf<'no-reply'>['status'], 'no-reply'>(true);

  // Codes are literals.
  if (error instanceof RoutePoolError && error.code === 'ERR_ROUTEPOOL_NOT_LOCAL') void error.option;
  // @ts-expect-error no such code
  if (error instanceof RoutePoolError && error.code === 'ERR_OTHER') void error;
  // @ts-expect-error no such option
  validate('10.0.0.0/24', { rate: 5 });
  // @ts-expect-error no such policy
  validate('10.0.0.0/24', { hosts: 'some' });
  await StunServer.listen({ port: 0 }).close();
}

export async function pipes(route: Route, bound: BoundRoute, nic: Interface, pool: RoutePool): Promise<void> {
  // Whatever a pipe leaves by, it is the same pipe.
  for (const source of [route, bound, nic] satisfies PipeSource[]) {
    const pipe = await pipeOpen(TCP, ['192.0.2.1', 80], source);
    same<typeof pipe, Pipe>(true);
    same<typeof pipe.route, Route | undefined>(true);
  }
  const pipe = await pipeOpen(UDP, null, route, { highWaterMark: 65_536, signal: AbortSignal.timeout(1) });
  for (const data of ['text', new Uint8Array(1), new ArrayBuffer(1)] satisfies PipeData[]) await pipe.send(data);
  for (const to of [['192.0.2.1', 1], { address: '192.0.2.1', port: 1 }] satisfies PipePeer[]) await pipe.send('', to);
  same<Awaited<ReturnType<typeof pipe.recv>>, Buffer | undefined | null>(true);
  same<Awaited<ReturnType<typeof pipe.recvFrom>>, Message | undefined | null>(true);
  for await (const data of pipe) same<typeof data, Buffer>(true);
  for await (const message of pipe.subscribe(/x/)) same<typeof message, Message>(true);
  pipe.on('message', (data, from) => [same<typeof data, Buffer>(true), same<typeof from, Endpoint>(true)]);
  pipe.on('error', (error) => same<typeof error, Error>(true));
  same<ReturnType<typeof pipeStats>['reader'], 'direct' | 'portable' | undefined>(true);
  same<Parameters<typeof setPipeReader>, [reader: PipeReader]>(true);
  // A pool is no source: somebody has to choose.
  // @ts-expect-error no such source
  await pipeOpen(TCP, 'example.net:80', pool);
  // @ts-expect-error no such protocol
  await pipeOpen('rudp', 'example.net:80');
  // @ts-expect-error no such option
  await pipeOpen(TCP, 'example.net:80', route, { timeout: 5 });
  const pick: RoutePicker = (from, request) => (same<typeof request, unknown>(true), from.at(0));
  const [plain, secure] = [pool.agent({ pick }), pool.agent({ protocol: 'https:', pick, ca: 'x' })];
  same<typeof plain, HttpAgent>(true);
  same<typeof secure, HttpsAgent>(true);
  // @ts-expect-error a single route has nothing to pick
  route.agent({ pick });
  // @ts-expect-error the route says where a connection leaves from
  route.agent({ localAddress: '192.0.2.1' });
}

export async function daemons(route: Route, pool: RoutePool, nic: Interface): Promise<void> {
  await using daemon = new Daemon({ maxConnections: 10 });
  const targets: ListenTargets[] = ['192.0.2.1', '198.18.0.0/16', route, pool, nic, ['192.0.2.1', pool]];
  for (const target of targets) {
    const { servers, port } = await daemon.listen(TCP, 0, target);
    same<typeof servers, readonly DaemonServer[]>(true);
    same<typeof port, number>(true);
  }
  for await (const pipe of daemon) same<typeof pipe, Pipe>(true);
  same<Awaited<ReturnType<typeof daemon.accept>>, Pipe | undefined | null>(true);
  daemon.addMessageListener((data, from, pipe) => {
    same<typeof data, Buffer>(true);
    same<typeof from, Endpoint>(true);
    same<typeof pipe, Pipe>(true);
  });
  // @ts-expect-error a number is no place to listen at
  await daemon.listen(TCP, 0, 5);
}

export async function nats(nic: Interface): Promise<void> {
  const nat = await nic.loadNat({ servers: ['stun.example.net'], profile: 'fast' });
  same<typeof nat, Nat>(true);
  same<typeof nat.mapping, NatMapping>(true);
  same<typeof nat.filtering, NatFiltering>(true);
  same<typeof nat.violations, readonly NatViolation[]>(true);
  same<ReturnType<typeof describeNat>, string>(true);
  same<ReturnType<typeof nat.explanation>, NatExplanation>(true);
  // Not found out is a value like any other, so that a comparison names it.
  if (nat.mapping === 'unknown') void nat.evidence;
  // @ts-expect-error no such mapping
  if (nat.mapping === 'symmetric') void nat;
  // @ts-expect-error no such profile
  await nic.loadNat({ profile: 'slow' });
  // @ts-expect-error it was renamed
  await Interface.load({ stunServers: 'stun.example.net' });
  same<ReturnType<typeof nic.noRouteReason>, string | undefined>(true);
  same<(typeof nic.rp)[typeof IP4], RoutePool>(true);
}

export async function watches(): Promise<void> {
  await using changes = watch({ external: { servers: 'stun.example.net', intervalMs: 60_000 } });
  for await (const change of changes) {
    same<typeof change, NetworkChange>(true);
    // Each change has the facts of its type, and only those.
    if (change.type === 'resumed') same<typeof change.sleptMs, number>(true);
    if (change.type === 'default-changed') same<typeof change.now, DefaultRoute | undefined>(true);
    if (change.type === 'address-added') same<typeof change.scope, AddressScope>(true);
    if (change.type === 'external-changed') same<typeof change.external, AddressRange>(true);
    // @ts-expect-error a block has no scope
    if (change.type === 'block-added') void change.scope;
    // @ts-expect-error it was renamed
    if (change.type === 'woken') void change;
  }
  changes.on('external-changed', ({ route }) => same<typeof route, Route>(true));
  same<ReturnType<typeof changes.counters>['scans'], number>(true);
  // @ts-expect-error no such event
  changes.on('woken', () => undefined);
  same<VerdictStatus, Verdict['status']>(true);
}
