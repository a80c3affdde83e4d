/** What the dict of an interface holds of a route. */
import type { AddressRange } from '../address/range.ts';

/** Addresses of an interface and the external ones that they leave as. */
export interface RouteData {
  /** The family. */
  readonly af: 4 | 6;
  /** The interface's side. */
  readonly nicIps: readonly AddressRange[];
  /** Empty as long as nobody outside was asked. */
  readonly extIps: readonly AddressRange[];
  /** Link-local IPv6 addresses of the interface; empty for IPv4. */
  readonly linkLocalIps: readonly AddressRange[];
}
