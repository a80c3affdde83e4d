/** An interface in words. */
import { FAMILIES, type Family } from '../../address/family.ts';
import type { Interface } from '../../interface/interface.ts';
import type { InterfaceFacts } from '../../interface/facts.ts';
import { rangeText } from '../../address/text.ts';
import type { Route } from '../../routes/route.ts';
import type { Style } from './style.ts';

const NUMBER = new Intl.NumberFormat('en-US');

/** Addresses that are listed before the rest is only counted. */
const SHOWN = 6;

/** What the system says: name, kind, addresses, gateways. */
export function describeFacts(facts: InterfaceFacts, style: Style): string {
  const families = FAMILIES.filter((family) => facts.default[family]).map((family) => `IPv${family}`);
  const is = [
    facts.kind,
    facts.up ? undefined : 'down',
    families.length > 0 ? `default for ${families.join(' and ')}` : undefined,
  ];
  const lines = [`${facts.name}  ${style.dim(is.filter((word) => word !== undefined).join(', '))}`];
  const addresses = facts.addresses.map(({ ip, prefixLength, scope, deprecated, temporary, tentative }) => {
    const flags = [
      scope === 'global' ? '' : scope,
      temporary && 'temporary',
      deprecated && 'deprecated',
      tentative && 'tentative',
    ].filter(Boolean);
    return `${ip}/${prefixLength}${flags.length > 0 ? ` (${flags.join(', ')})` : ''}`;
  });
  if (addresses.length > 0) lines.push(`  addresses  ${listed(addresses, ', ')}`);
  if (facts.blocks.length > 0) lines.push(`  blocks     ${listed(facts.blocks.map(rangeText), ', ')}`);
  const gateways = facts.gateways.map(
    ({ address, family, table }) =>
      `${address ?? `the link itself (IPv${family})`}${table === 254 ? '' : ` in table ${table}`}`,
  );
  if (gateways.length > 0) lines.push(`  gateways   ${listed(gateways, ', ')}`);
  return `${lines.join('\n')}\n`;
}

/** The same, with what the addresses leave as. */
export function describeInterface(nic: Interface, style: Style): string {
  const facts = nic.facts === undefined ? `${nic.name}\n` : describeFacts(nic.facts, style);
  const lines = FAMILIES.flatMap((family) => describeFamily(nic, family, style));
  return `${facts}${lines.map((line) => `  ${line}\n`).join('')}`;
}

function describeFamily(nic: Interface, family: Family, style: Style): string[] {
  const known = nic.rp[family].routes.filter((route) => route.extIps.length > 0);
  const others = nic.rp[family].routes.filter((route) => route.extIps.length === 0);
  const lines = known.map((route) => describeRoute(route, style));
  if (others.length > 0) {
    const texts = others.flatMap((route) => route.locals.map(rangeText));
    const leave = texts.length > 1 ? 'leave' : 'leaves';
    const why =
      known.length > 0
        ? 'no server answered it, or servers disagree'
        : (nic.noRouteReason(family) ?? 'it is not known');
    lines.push(`${style.doubtful('?')} ${listed(texts, ', ')} ${leave} as an unknown address: ${why}`);
  }
  return lines;
}

function describeRoute(route: Route, style: Style): string {
  const local = route.locals.map(rangeText);
  const external = route.extIps.map(rangeText).join(', ');
  const sure = {
    'agreed': '',
    'single-server': ', as one server says',
    'unsure': ', perhaps',
    'unverified': ', unverified',
  }[route.certainty];
  const asked = route.evidence.observations.length;
  const assumed = route.assumed
    ? style.dim(` (${NUMBER.format(asked)} asked, the rest assumed; routepool validate proves each)`)
    : '';
  const itself = local.length === 1 && local[0] === external;
  const block = route.extIps.some(({ ip, cidr }) => cidr !== (ip.includes(':') ? 128 : 32));
  const what = itself
    ? block
      ? 'each leaves as itself'
      : 'leaves as itself'
    : `${local.length > 1 ? 'leave' : 'leaves'} as ${external}`;
  return `${style.good('✔')} ${listed(local, ', ')} ${what}${sure}${assumed}`;
}

function listed(items: readonly string[], separator: string): string {
  const more = items.length - SHOWN;
  return more > 0 ? `${items.slice(0, SHOWN).join(separator)} and ${NUMBER.format(more)} more` : items.join(separator);
}
