/** What a watch tells. */
import type { NativeChange } from '../native/binding.ts';
import type { Family } from '../address/family.ts';
import type { AddressRange, AddressScope } from '../address/range.ts';
import type { Route } from '../routes/route.ts';
import type { Certainty } from '../routes/observation.ts';

/** An interface has come, has gone, or passes packets from now on or no more (switched off, or no link). */
export interface InterfaceChange {
  /** What has happened. */
  readonly type: 'interface-added' | 'interface-removed' | 'interface-up' | 'interface-down';
  /** The name of the interface. */
  readonly interface: string;
  /** The system's number of it. */
  readonly index: number;
}

/** An interface has another name. */
export interface InterfaceRenamed {
  /** What has happened. */
  readonly type: 'interface-renamed';
  /** Its name now. */
  readonly interface: string;
  /** The system's number of it. */
  readonly index: number;
  /** Its name before. */
  readonly previous: string;
}

/** An address can be used from now on, or no more. Addresses that are still tentative are told once they are not. */
export interface AddressChange {
  /** What has happened. */
  readonly type: 'address-added' | 'address-removed';
  /** The name of the interface. */
  readonly interface: string;
  /** The system's number of it. */
  readonly index: number;
  /** The address, in canonical form (RFC 5952). */
  readonly ip: string;
  /** Length of its subnet's prefix. */
  readonly prefixLength: number;
  /** 4 or 6. */
  readonly family: Family;
  /** What kind of address it is. */
  readonly scope: AddressScope;
}

/** A local route holds a block from now on, or no more (Linux). */
export interface BlockChange {
  /** What has happened. */
  readonly type: 'block-added' | 'block-removed';
  /** The interface that its packets leave by. */
  readonly interface: string;
  /** The system's number of it. */
  readonly index: number;
  /** The block. */
  readonly block: AddressRange;
  /** 4 or 6. */
  readonly family: Family;
}

/** Where traffic goes that no other route takes. */
export interface DefaultRoute {
  /** The name of the interface. */
  readonly interface: string;
  /** The router; undefined where the link itself leads everywhere. */
  readonly gateway: string | undefined;
}

/** Traffic that no other route takes leaves by another interface or router. */
export interface DefaultChange {
  /** What has happened. */
  readonly type: 'default-changed';
  /** Of which family the traffic is. */
  readonly family: Family;
  /** Undefined if there was none. */
  readonly previous: DefaultRoute | undefined;
  /** Undefined if there is none. */
  readonly now: DefaultRoute | undefined;
}

/**
 * Addresses leave as another external address. A route stays the same route while the machine holds its addresses:
 * these are `locals`, and part of what `route` has. Silence of the servers is no change, and one server's word changes
 * nothing that two had agreed on.
 */
export interface ExternalChange {
  /** What has happened. */
  readonly type: 'external-changed';
  /** The name of the interface. */
  readonly interface: string;
  /** 4 or 6. */
  readonly family: Family;
  /** Addresses and blocks of the interface. */
  readonly locals: readonly AddressRange[];
  /** What they left as; undefined if that was not known. */
  readonly previous: AddressRange | undefined;
  /** What they leave as now. */
  readonly external: AddressRange;
  /** How sure `external` is: `agreed`, or `single-server`. */
  readonly certainty: Certainty;
  /** The route as it is now, with its evidence. */
  readonly route: Route;
}

/** The machine was asleep: addresses may be leased to others, mappings of a NAT gone. */
export interface Resumed {
  /** What has happened. */
  readonly type: 'resumed';
  /** How long it slept, in milliseconds. */
  readonly sleptMs: number;
}

/** One change; `type` says which. */
export type NetworkChange =
  InterfaceChange | InterfaceRenamed | AddressChange | BlockChange | DefaultChange | ExternalChange | Resumed;

/** All types of change. @internal */
export const CHANGE_TYPES: readonly NetworkChange['type'][] = [
  'interface-added',
  'interface-removed',
  'interface-renamed',
  'interface-up',
  'interface-down',
  'address-added',
  'address-removed',
  'block-added',
  'block-removed',
  'default-changed',
  'external-changed',
  'resumed',
];

/** @internal */
export function toChange(found: NativeChange): NetworkChange | undefined {
  const type = CHANGE_TYPES.find((known) => known === found.kind);
  const family: Family = found.family === 6 ? 6 : 4;
  const { interface: name = '', index = 0, ip = '', prefixLength = 0 } = found;
  switch (type) {
    case 'interface-added':
    case 'interface-removed':
    case 'interface-up':
    case 'interface-down':
      return { type, interface: name, index };
    case 'interface-renamed':
      return { type, interface: name, index, previous: found.previousName ?? '' };
    case 'address-added':
    case 'address-removed':
      return { type, interface: name, index, ip, prefixLength, family, scope: found.scope as AddressScope };
    case 'block-added':
    case 'block-removed':
      return { type, interface: name, index, block: { ip, cidr: prefixLength }, family };
    case 'default-changed':
      return { type, family, previous: toWay(found.previous), now: toWay(found.now) };
    case 'resumed':
      return { type, sleptMs: found.sleptMs ?? 0 };
    // Those are found on this side, and others there are none.
    case 'external-changed':
    case undefined:
      return undefined;
  }
}

function toWay(way: NativeChange['now']): DefaultRoute | undefined {
  return way ? { interface: way.interface, gateway: way.gateway ?? undefined } : undefined;
}
