/** What the system says of an interface. */
import type { AddressScope, AddressRange } from '../address/range.ts';
import { enumerateInterfaces, interfaceNames, type NativeInterface } from '../native/binding.ts';
import { unwrap } from '../native/failure.ts';
import type { Family } from '../address/family.ts';
import { asCaller, checkBoolean, checkNames } from '../options/check.ts';

/** What kind of interface it is, by the system's own type and not by its name. */
export type InterfaceKind = 'ethernet' | 'wifi' | 'loopback' | 'bridge' | 'tunnel' | 'virtual' | 'other';

/** An address of an interface. */
export interface InterfaceAddress {
  /** In canonical form (RFC 5952), without zone. */
  readonly ip: string;
  /** 4 or 6. */
  readonly family: Family;
  /** Length of its subnet's prefix. */
  readonly prefixLength: number;
  /** What kind of address it is. */
  readonly scope: AddressScope;
  /** For link-local IPv6 addresses the number of the interface, else 0. */
  readonly scopeId: number;
  /** A name of its own, such as `eth0:1`. */
  readonly label: string | undefined;
  /** An IPv6 privacy address (RFC 8981), which is gone in a day; never chosen for a route. */
  readonly temporary: boolean;
  /** Not to be used for new connections; never chosen for a route. */
  readonly deprecated: boolean;
  /** Not yet known to be unique, or known not to be; never chosen for a route. */
  readonly tentative: boolean;
}

/** A way to other networks. */
export interface InterfaceGateway {
  /** The router; undefined where the link itself leads everywhere. */
  readonly address: string | undefined;
  /** The family of the destinations. */
  readonly family: Family;
  /** The lower, the sooner it is used. */
  readonly metric: number;
  /** The routing table; 254 is the main one on Linux. */
  readonly table: number;
}

/** What the system says of an interface. */
export interface InterfaceFacts {
  /** The system's name, such as `eth0`. */
  readonly name: string;
  /** The system's number. */
  readonly index: number;
  /** Hardware address in lower case with colons. */
  readonly mac: string | undefined;
  /** Largest packet in bytes; 0 if the system does not say. */
  readonly mtu: number;
  /** What kind of interface it is. */
  readonly kind: InterfaceKind;
  /** Whether it is switched on. */
  readonly up: boolean;
  /**
   * Whether it has a link: a cable with something at its other end. Packets pass only when it is both up and running.
   */
  readonly running: boolean;
  /** Whether the traffic that no other route takes leaves by it. */
  readonly default: { readonly 4: boolean; readonly 6: boolean };
  /** The most preferred first. */
  readonly gateways: readonly InterfaceGateway[];
  /** Its addresses, of both families. */
  readonly addresses: readonly InterfaceAddress[];
  /**
   * Blocks that a local route holds without any address (Linux); those of a route to loopback stand at the default
   * interface.
   */
  readonly blocks: readonly AddressRange[];
}

/**
 * The names of all interfaces of this machine, by number. Nothing is asked of any server.
 *
 * Linux, macOS, FreeBSD, Windows.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`; a system error if interfaces cannot be read
 */
export function listInterfaces(options?: { details?: false }): string[];
/**
 * All interfaces of this machine with all that the system says, by number. Nothing is asked of any server.
 *
 * Linux, macOS, FreeBSD, Windows; {@link InterfaceFacts.blocks} are Linux only.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`; a system error if interfaces cannot be read
 */
export function listInterfaces(options: { details: true }): InterfaceFacts[];
export function listInterfaces(options: { details?: boolean } = {}): string[] | InterfaceFacts[] {
  const details =
    asCaller(listInterfaces, () => checkBoolean('details', checkNames(options, ['details']).details)) ?? false;
  return details
    ? unwrap(enumerateInterfaces(), listInterfaces).map(toFacts)
    : unwrap(interfaceNames(), listInterfaces);
}

/** @internal */
export function toFacts(found: NativeInterface): InterfaceFacts {
  return {
    name: found.name,
    index: found.index,
    mac: found.mac ?? undefined,
    mtu: found.mtu,
    kind: found.kind as InterfaceKind,
    up: found.up,
    running: found.running,
    default: { 4: found.defaultIpv4, 6: found.defaultIpv6 },
    gateways: found.gateways.map(({ address, family, metric, table }) => ({
      address: address ?? undefined,
      family: family === 6 ? 6 : 4,
      metric,
      table,
    })),
    addresses: toAddresses(found.addresses, found.index),
    blocks: found.blocks,
  };
}

/** Bytes of facts for each address. */
const FACTS = 3;

/** Flags of packed addresses, as the addon has them. */
const [IPV6, TEMPORARY, DEPRECATED, TENTATIVE, SCOPED, LABELLED] = [1, 2, 4, 8, 16, 32];

function toAddresses({ ips, facts, scopes, labels }: NativeInterface['addresses'], index: number): InterfaceAddress[] {
  const texts = ips.split('\n');
  const names = labels === '' ? [] : labels.split('\n');
  const addresses: InterfaceAddress[] = [];
  for (let i = 0, at = 0, named = 0; at < facts.length; i++, at += FACTS) {
    const flags = facts[at + 2] ?? 0;
    addresses.push({
      ip: texts[i] ?? '',
      family: flags & IPV6 ? 6 : 4,
      prefixLength: facts[at] ?? 0,
      scope: scopes[facts[at + 1] ?? 0] as AddressScope,
      scopeId: flags & SCOPED ? index : 0,
      label: flags & LABELLED ? names[named++] : undefined,
      temporary: (flags & TEMPORARY) !== 0,
      deprecated: (flags & DEPRECATED) !== 0,
      tentative: (flags & TENTATIVE) !== 0,
    });
  }
  return addresses;
}
