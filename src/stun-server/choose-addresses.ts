/**
 * Which addresses a STUN server should listen at: chosen from what this machine's interfaces look like from outside.
 */
import { FAMILIES, type Family } from '../address/family.ts';
import type { Interface } from '../interface/interface.ts';
import { listInterfaces, type InterfaceAddress } from '../interface/facts.ts';
import { loadInterfaces } from '../interface/load-all.ts';
import { checkLoadOptions, LOAD_OPTIONS, type LoadOptions } from '../servers/options.ts';
import { asCaller, checkBoolean, checkNames } from '../options/check.ts';
import type { Certainty } from '../routes/observation.ts';

/** Addresses for {@link StunServer.listen}, and what is to be known about them. */
export interface StunAddressChoice {
  /** Addresses of this machine: for each family two with different external addresses, or one. */
  readonly address: string[];
  /** What clients see instead of each, as STUN servers saw it. */
  readonly advertise: string[];
  /** What is missing or was not proven, in plain words. */
  readonly notes: string[];
}

interface Candidate {
  readonly ip: string;
  /** What it leaves as; the address itself where nobody could say. */
  readonly seen: string;
  readonly certainty: Certainty;
  readonly global: boolean;
}

/** The better known, the better; what leaves as itself needs no NAT that lets clients in. */
function rank({ ip, seen, certainty, global }: Candidate): number {
  if (certainty === 'unverified') return global ? 4 : 5;
  return (certainty === 'agreed' ? 0 : 1) + (ip === seen ? 0 : 2);
}

/**
 * Asks STUN servers what the addresses of this machine leave as, and chooses for each family two with different
 * external addresses; if there is only one, that one, and the notes say what is missing. Where nobody answers, or with
 * `offline`, addresses are taken for what clients see.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`, `ERR_ROUTEPOOL_SERVER`; AbortError
 */
export async function chooseStunAddresses(
  options: LoadOptions & { offline?: boolean } = {},
): Promise<StunAddressChoice> {
  const { offline, ...load } = asCaller(chooseStunAddresses, () =>
    checkNames(options, ['offline', ...LOAD_OPTIONS]),
  ) as typeof options;
  asCaller(chooseStunAddresses, () => checkBoolean('offline', offline));
  checkLoadOptions(load, chooseStunAddresses);
  const loaded = offline === true ? [] : await loadAll(load);
  const choice = FAMILIES.map((family) => choose(family, candidates(family, loaded)));
  const found = choice.flatMap(({ chosen }) => chosen);
  const notes =
    found.length === 0
      ? ['This machine has no address but loopback: name one to serve only itself.']
      : choice.flatMap((one) => one.notes);
  return { address: found.map(({ ip }) => ip), advertise: found.map(({ seen }) => seen), notes };
}

async function loadAll(options: LoadOptions): Promise<Interface[]> {
  const { loaded, failed } = await loadInterfaces(undefined, options);
  // A wrong option fails all alike, and is the caller's to mend.
  const [first] = failed;
  if (loaded.length === 0 && first !== undefined) throw first.error;
  return loaded;
}

function candidates(family: Family, loaded: readonly Interface[]): Candidate[] {
  const seen = new Map<string, Candidate>();
  for (const nic of loaded) {
    for (const { ip, external, certainty } of nic.rp[family].routes.flatMap((route) => route.evidence.observations)) {
      if (external !== undefined) seen.set(ip, { ip, seen: external, certainty, global: true });
    }
  }
  const own = listInterfaces({ details: true })
    .filter((facts) => facts.up && facts.kind !== 'loopback')
    .flatMap((facts) => facts.addresses);
  for (const address of own.filter((candidate) => candidate.family === family && lasts(candidate))) {
    const { ip, scope } = address;
    if (!seen.has(ip)) seen.set(ip, { ip, seen: ip, certainty: 'unverified', global: scope === 'global' });
  }
  // In the order of their numbers, so that a server that is started again chooses the same ones.
  return [...seen.values()].toSorted((a, b) => rank(a) - rank(b) || a.ip.localeCompare(b.ip, 'en', { numeric: true }));
}

const UNUSABLE = new Set(['link-local', 'loopback', 'multicast', 'unspecified']);

function lasts({ temporary, deprecated, tentative, scope }: InterfaceAddress): boolean {
  return !temporary && !deprecated && !tentative && !UNUSABLE.has(scope);
}

function choose(family: Family, all: readonly Candidate[]): { chosen: Candidate[]; notes: string[] } {
  const [primary] = all;
  if (primary === undefined) return { chosen: [], notes: [] };
  const other = all.find(
    ({ ip, seen, certainty, global }) =>
      ip !== primary.ip && seen !== primary.seen && (certainty !== 'unverified' || global || !primary.global),
  );
  const chosen = other === undefined ? [primary] : [primary, other];
  const unproven = chosen.filter(({ certainty }) => certainty === 'unverified').map(({ ip }) => ip);
  const notes = chosen.flatMap(({ ip, seen }) => {
    if (ip === seen) return [];
    return [
      `${ip} leaves as ${seen}, which clients are told of: that works if the NAT maps one to one and lets the server's ports in.`,
    ];
  });
  if (unproven.length > 0)
    notes.push(
      `No STUN server said what ${unproven.join(' and ')} leave${unproven.length === 1 ? 's' : ''} as: taken for what clients see.`,
    );
  if (other === undefined) {
    const same = all.filter(({ ip, seen }) => ip !== primary.ip && seen === primary.seen).map(({ ip }) => ip);
    const why =
      same.length > 0
        ? `${same.slice(0, 3).join(', ')} ${same.length === 1 ? 'leaves' : 'leave'} as the same address`
        : 'this machine has no second one';
    notes.push(
      `IPv${family} has one external address, ${primary.seen}: ${why}. Clients get their address, but cannot test how their NAT behaves (RFC 5780); for that a second external IPv${family} address is needed.`,
    );
  }
  return { chosen, notes };
}
