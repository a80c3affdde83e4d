/** Finds out what kind of NAT an interface is behind. */
import { chooseServers, classifyNat } from '../native/binding.ts';
import { PORTAL_URL } from '../defaults.ts';
import type { CallSite } from '../errors/call-site.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { unwrap } from '../native/failure.ts';
import { FAMILIES, type Family } from '../address/family.ts';
import type { InterfaceFacts } from '../interface/facts.ts';
import type { AddressScope } from '../address/range.ts';
import { isIP } from '../address/is-ip.ts';
import { awaitWork } from '../native/await-work.ts';
import { probed } from '../diagnostics.ts';
import { natOf, type Nat } from './nat.ts';
import { toBehaviour } from './behaviour.ts';
import type { CheckedNatOptions } from './options.ts';
import { toReport } from './report.ts';
import { omitUndefined } from '../options/check.ts';
import { resolveAvailable } from '../servers/resolve.ts';
import type { Route } from '../routes/route.ts';

/** Asks from the interface's addresses. @internal */
export async function measureNat(
  facts: InterfaceFacts,
  routes: { readonly 4: readonly Route[]; readonly 6: readonly Route[] },
  options: CheckedNatOptions,
  origin: CallSite,
  caller: (...args: never[]) => unknown,
): Promise<Nat> {
  const locals = options.from ?? FAMILIES.flatMap((family) => localOf(facts, routes[family], family) ?? []);
  if (locals.length === 0) {
    const message = `${facts.name} has no address that a server could be asked from: give it one, or load another interface`;
    throw new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', message);
  }
  const families = locals.map((ip): Family => (isIP(ip) === 6 ? 6 : 4));
  const choice = unwrap(chooseServers(options.servers ?? []), caller);
  const isPublic = choice.origin === 'public';
  const { profile, lifetime, lifetimeMaxMs, hairpin, tcp, signal, stop } = options;
  const names = { lookup: options.lookup, signal: anySignal(signal, stop) };
  const [{ servers, unresolved }, portal] = await Promise.all([
    resolveAvailable(choice.servers, families, names, origin),
    resolvePortal(options.portal, names, isPublic, families, origin),
  ]);
  const question = {
    locals,
    public: isPublic,
    unresolved,
    // What is sent from loopback addresses never leaves by an interface.
    ...(facts.kind === 'loopback' ? {} : { interface: facts.name }),
    ...omitUndefined({ profile, lifetime, lifetimeMaxMs, hairpin, tcp, portal }),
  };
  const report = await probed('nat', facts.name, () =>
    awaitWork((cancel) => classifyNat(question, servers, cancel), { signal, stop, origin }),
  );
  const behaviours = report.families.map((found) => ({
    family: found.family === 6 ? (6 as const) : (4 as const),
    behaviour: toBehaviour(found.behaviour),
  }));
  return natOf(toReport(report), report.numbers, behaviours, Date.now());
}

/** Aborted when one of them is. */
function anySignal(...signals: (AbortSignal | undefined)[]): AbortSignal | undefined {
  const given = signals.filter((signal) => signal !== undefined);
  return given.length > 1 ? AbortSignal.any(given) : given[0];
}

const UNASKABLE: ReadonlySet<AddressScope> = new Set(['link-local', 'multicast', 'unspecified']);

/** The address to ask from: that of the first route that a server has seen, else the first that may be used. */
function localOf(facts: InterfaceFacts, routes: readonly Route[], family: Family): string | undefined {
  const seen = routes.find((route) => route.extIps.length > 0)?.local();
  if (seen !== undefined) return seen;
  return facts.addresses.find(
    (own) => own.family === family && !own.tentative && !own.deprecated && !own.temporary && !UNASKABLE.has(own.scope),
  )?.ip;
}

/** The portal's address. One whose name does not resolve is not asked: that much STUN has said already. */
async function resolvePortal(
  portal: URL | false | undefined,
  names: Pick<CheckedNatOptions, 'lookup' | 'signal'>,
  isPublic: boolean,
  families: readonly Family[],
  origin: CallSite,
) {
  const url = portal ?? (isPublic ? new URL(PORTAL_URL) : false);
  if (url === false) return undefined;
  const host = url.hostname.replaceAll(/^\[|\]$/g, '');
  const port = url.port === '' ? 80 : Number(url.port);
  const { servers } = await resolveAvailable([{ text: host, host, port }], families, names, origin);
  const address = servers[0]?.address;
  return address === undefined ? undefined : { address, port, host: url.host, path: `${url.pathname}${url.search}` };
}
