/** Options of Node's `net.connect` and `tls.connect`: which there are, and which of them a route has decided. */
import type { ConnectionOptions } from 'node:tls';
import { checkNames, wrong } from './check.ts';

/**
 * Options of `net.connect` and `tls.connect` that say where a connection leaves from or goes to, and why they are not
 * taken.
 */
export const STEERING = {
  localAddress: 'the route is what a connection leaves by',
  localPort: 'the system picks a free one for each connection',
  host: 'each request says where to',
  port: 'each request says where to',
  path: 'a route leads to no local socket',
  socketPath: 'a route leads to no local socket',
  socket: 'each connection has its own',
  hints: 'only addresses of the family of the route are asked for',
  autoSelectFamily: 'a route has one family',
  autoSelectFamilyAttemptTimeout: 'a route has one family',
  onread: 'data is read as streams are',
  proxyEnv: 'a route leads to the server itself',
} as const;

/** What `tls.connect` takes beside {@link STEERING}; the later ones are of newer versions of Node. */
export const TLS = [
  'ALPNCallback',
  'ALPNProtocols',
  'SNICallback',
  'allowPartialTrustChain',
  'ca',
  'cert',
  'checkServerIdentity',
  'ciphers',
  'clientCertEngine',
  'crl',
  'dhparam',
  'ecdhCurve',
  'enableTrace',
  'honorCipherOrder',
  'key',
  'maxVersion',
  'minDHSize',
  'minVersion',
  'passphrase',
  'pfx',
  'privateKeyEngine',
  'privateKeyIdentifier',
  'pskCallback',
  'rejectUnauthorized',
  'requestCert',
  'requestOCSP',
  'secureContext',
  'secureOptions',
  'secureProtocol',
  'servername',
  'session',
  'sessionIdContext',
  'sessionTimeout',
  'sigalgs',
  'ticketKeys',
] as const;

/**
 * Options of `tls.connect` for a pipe, whose destination says where to.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
 */
export function checkTlsOptions(options: object): ConnectionOptions {
  const reasons = {
    host: 'the destination has it; `servername` names another one to verify',
    lookup: 'it is an option of the pipe',
    timeout: '`connectTimeoutMs` is an option of the pipe',
  };
  // What each is worth is Node's to judge.
  checkKnown(options, TLS, reasons, 'tls.');
  return options;
}

/** Options that a route leaves to the user: with known names only, and without those that it has decided. */
export function checkKnown<K extends string>(
  options: object,
  known: readonly K[],
  reasons: Readonly<Record<string, string>>,
  prefix = '',
): { [P in K]?: unknown } {
  const steering: Readonly<Record<string, string>> = { ...STEERING, ...reasons };
  const taken: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    // Left out, as some libraries do that pass on what they were given.
    if (value === undefined) continue;
    if (Object.hasOwn(steering, name)) refuse(prefix + name, steering[name] ?? '', value);
    taken[name] = value;
  }
  checkNames(
    Object.fromEntries(Object.keys(taken).map((name) => [prefix + name, true])),
    known.map((name) => prefix + name),
  );
  return options;
}

/** An option that is not taken, and why. */
export function refuse(name: string, why: string, value: unknown): never {
  return wrong(name, `nothing (${why})`, value);
}
