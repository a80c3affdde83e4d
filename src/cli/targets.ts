/** What `routepool validate` is given: blocks, names of interfaces, or the pool. */
import { RoutePoolError } from '../errors/errors.ts';
import type { Family } from '../address/family.ts';
import { rangeText } from '../address/text.ts';
import { Interface, listInterfaces, type InterfaceFacts } from '../index.ts';
import { isIP } from '../address/is-ip.ts';
import { UsageError } from './usage-error.ts';

/**
 * Blocks as they are; for the name of an interface its addresses and blocks of one family; for `pool` the addresses of
 * the default interface that leave as themselves.
 */
export async function expandTargets(
  targets: readonly string[],
  family: Family | undefined,
  servers: readonly string[] | undefined,
): Promise<string[]> {
  const names = targets.some((target) => !looksLikeBlock(target));
  const interfaces = names ? listInterfaces({ details: true }) : [];
  const expanded = await Promise.all(
    targets.map((target) => {
      const facts = interfaces.find((found) => found.name === target);
      if (facts !== undefined) return blocksOf(facts, family);
      return target === 'pool' ? pool(family, servers) : [target];
    }),
  );
  const blocks = expanded.flat();
  return blocks.filter((block, i) => blocks.indexOf(block) === i);
}

/** Whether it begins with an address: what else is wrong with it, the blocks' own reader says. */
function looksLikeBlock(target: string): boolean {
  return isIP(target.trim().split(/[/-]/)[0] ?? '') !== 0;
}

const UNASKABLE = new Set(['link-local', 'loopback', 'multicast', 'unspecified']);

function blocksOf(facts: InterfaceFacts, wanted: Family | undefined): string[] {
  const of = (family: Family) => {
    const blocks = facts.blocks.filter(({ ip }) => ip.includes(':') === (family === 6)).map(rangeText);
    const usable = facts.addresses.filter(
      (own) => own.family === family && !own.tentative && !own.deprecated && !UNASKABLE.has(own.scope),
    );
    return [...usable.map((own) => own.ip), ...blocks];
  };
  const held = wanted === undefined ? (of(4).length > 0 ? of(4) : of(6)) : of(wanted);
  if (held.length > 0) return held;
  const what = wanted === undefined ? 'address' : `IPv${wanted} address`;
  throw new UsageError(`the interface ${facts.name} has no ${what} that could leave this machine`);
}

async function pool(family: Family | undefined, servers: readonly string[] | undefined): Promise<string[]> {
  const nic = await Interface.load({ servers: servers });
  const af = family ?? nic.supported()[0] ?? 4;
  const own = nic.rp[af].routes.filter((route) =>
    route.extIps.some((range) => route.locals.some((local) => rangeText(local) === rangeText(range))),
  );
  const blocks = own.flatMap((route) => route.extIps.map(rangeText));
  if (blocks.length === 0) {
    throw new RoutePoolError(
      'ERR_ROUTEPOOL_NO_ROUTE',
      `no IPv${af} address of ${nic.name} leaves as itself, so there is nothing to prove: ${nic.noRouteReason(af) ?? 'they are behind a NAT'}`,
    );
  }
  return blocks;
}
