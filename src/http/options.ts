/**
 * Options that are Node's own, as far as routes pass them on. A name that is not among them is refused, as everywhere
 * else: Node would ignore a misspelt one, and one that steers where traffic leaves is the route's to say.
 */
import type { AgentOptions as HttpAgentOptions } from 'node:http';
import type { AgentOptions as HttpsAgentOptions } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import type { Family } from '../address/family.ts';
import { checkBoolean, checkChoice, checkLookup, checkNumber, wrong } from '../options/check.ts';
import { checkKnown, refuse, STEERING, TLS } from '../options/tls.ts';

/** What `http.Agent` takes beside {@link STEERING}. */
const AGENT = [
  'agentKeepAliveTimeoutBuffer',
  'defaultPort',
  'family',
  'keepAlive',
  'keepAliveInitialDelay',
  'keepAliveMsecs',
  'lookup',
  'maxFreeSockets',
  'maxSockets',
  'maxTotalSockets',
  'noDelay',
  'scheduling',
  'timeout',
] as const;

type Known = keyof typeof STEERING | (typeof TLS)[number] | (typeof AGENT)[number] | 'maxCachedSessions';
/** All that the types of Node have is known here: a new version of them fails to compile. */
type Unlisted = Exclude<keyof HttpAgentOptions | keyof HttpsAgentOptions | keyof ConnectionOptions, Known>;
const unlisted: [Unlisted] extends [never] ? true : never = true;
void unlisted;

const CONNECTOR = ['allowH2', 'keepAlive', 'keepAliveInitialDelay', 'lookup', 'maxCachedSessions', 'timeout'] as const;

/** The greatest delay of a timer. */
const MAX_MS = 2 ** 31 - 1;

/** For a single route. */
const NO_PICK = { pick: 'a route is one; pools have a choice' } as const;

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` */
export function checkAgentOptions(
  options: object,
  { isHttps, family, hasPick }: { isHttps: boolean; family: Family; hasPick: boolean },
): void {
  const known = isHttps ? [...AGENT, 'maxCachedSessions' as const, ...TLS] : AGENT;
  const given = checkKnown(options, hasPick ? ['pick' as const, ...known] : known, {
    ...(hasPick ? {} : NO_PICK),
    ...(isHttps ? {} : HTTPS_ONLY),
  });
  for (const name of ['maxSockets', 'maxTotalSockets'] as const) checkCount(name, given[name], 1);
  checkCount('maxFreeSockets', given.maxFreeSockets, 0);
  checkCount('maxCachedSessions', (given as { maxCachedSessions?: unknown }).maxCachedSessions, 0);
  for (const name of ['agentKeepAliveTimeoutBuffer', 'keepAliveInitialDelay', 'keepAliveMsecs', 'timeout'] as const)
    checkNumber(name, given[name], 0, MAX_MS, false);
  for (const name of ['keepAlive', 'noDelay'] as const) checkBoolean(name, given[name]);
  checkNumber('defaultPort', given.defaultPort, 1, 65_535, true);
  checkChoice('scheduling', given.scheduling, ['fifo', 'lifo']);
  checkLookup(given.lookup);
  checkFamily(given.family, family);
}

/** For an agent that does no TLS, options of TLS would do nothing at all. */
const HTTPS_ONLY: Readonly<Record<string, string>> = Object.fromEntries(
  TLS.map((name) => [name, "it needs `protocol: 'https:'`"]),
);

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` */
export function checkConnectorOptions(options: object, hasPick: boolean): void {
  const known = [...CONNECTOR, ...TLS] as const;
  const given = checkKnown(options, hasPick ? ['pick' as const, ...known] : known, {
    ...(hasPick ? {} : NO_PICK),
    family: 'the route has one',
  });
  checkNumber('timeout', given.timeout, 0, MAX_MS, false);
  checkNumber('keepAliveInitialDelay', given.keepAliveInitialDelay, 0, MAX_MS, false);
  checkCount('maxCachedSessions', given.maxCachedSessions, 0);
  for (const name of ['allowH2', 'keepAlive'] as const) checkBoolean(name, given[name]);
  checkLookup(given.lookup);
}

/**
 * What a request says for itself: only what would leave elsewhere than the agent says is refused, the rest is Node's to
 * judge.
 */
export function checkRequest(request: object, family: Family): void {
  const given = request as Readonly<Record<string, unknown>>;
  for (const name of ['localAddress', 'localPort', 'socketPath'] as const)
    if (given[name]) refuse(name, STEERING[name], given[name]);
  checkFamily(given['family'], family);
}

function checkCount(name: string, value: unknown, min: number): void {
  if (value !== Infinity) checkNumber(name, value, min, Number.MAX_SAFE_INTEGER, true);
}

function checkFamily(value: unknown, family: Family): void {
  const right = value === undefined || value === null || value === 0 || value === family || value === `IPv${family}`;
  if (!right) wrong('family', `${family} or nothing (the route leaves over IPv${family})`, value);
}
