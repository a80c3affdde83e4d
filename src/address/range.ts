/** Blocks of addresses, and what kind an address is. */

/** A block of addresses, or with the longest prefix a single one. */
export interface AddressRange {
  /** The first address, in canonical form (RFC 5952). */
  readonly ip: string;
  /** Length of the prefix. */
  readonly cidr: number;
}

/** What kind an address is, by IANA's special-purpose registries. */
export type AddressScope =
  | 'global'
  | 'private'
  | 'shared-nat'
  | 'unique-local'
  | 'link-local'
  | 'loopback'
  | 'unspecified'
  | 'multicast'
  | 'documentation'
  | 'benchmark'
  | 'translation'
  | 'reserved';
