/** An address with its port. */
import { networkInterfaces } from 'node:os';
import { inspect } from 'node:util';
import { parseAddress } from '../address-parse.ts';
import { addressText } from '../address-text.ts';
import { ENDPOINT_BYTES } from '../defaults.ts';
import { RoutePoolError } from '../errors.ts';
import { isIP } from '../is-ip.ts';
import { canonicalAddress, endpointText } from './host-text.ts';

/** An address with its port. Its text is made when somebody looks. An IPv4-mapped IPv6 address is the IPv4 address. */
export class Endpoint {
  /** As the addon has it: address (16; IPv4 in the first 4), port (2, little-endian), family (1), 0, scope id (4). @internal */
  readonly packed: Uint8Array;
  #address: string | undefined;

  /** Takes the bytes as they are; they must not change. @internal */
  constructor(packed: Uint8Array) {
    this.packed = packed;
  }

  /**
   * From an address, with a zone if it is a link-local one (`fe80::1%eth0`), and a port.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  static of(address: string, port: number): Endpoint {
    const [ip = '', zone] = canonicalAddress(address).split('%', 2);
    const parsed = isIP(ip) === 0 ? undefined : parseAddress(ip);
    if (parsed === undefined) throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `expected an IP address but received ${inspect(address)}`, { option: 'address' });
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `expected an integer from 0 to 65535 for \`port\` but received ${inspect(port)}`, { option: 'port' });
    }
    const packed = new Uint8Array(ENDPOINT_BYTES);
    packed.set(parsed.bytes);
    packed[16] = port & 0xff;
    packed[17] = port >> 8;
    packed[18] = parsed.family;
    if (zone !== undefined) new DataView(packed.buffer).setUint32(20, scopeOf(zone), true);
    return new Endpoint(packed);
  }

  /** From bytes of the addon, which are copied. @internal */
  static at(bytes: Uint8Array, at: number): Endpoint {
    return new Endpoint(new Uint8Array(bytes.subarray(at, at + ENDPOINT_BYTES)));
  }

  /** The address; a link-local one of IPv6 with the number of its interface as zone. */
  get address(): string {
    this.#address ??= addressText(this.packed, 0, this.family === 6) + (this.scopeId === 0 ? '' : `%${this.scopeId}`);
    return this.#address;
  }

  /** The port. */
  get port(): number {
    return (this.packed[16] ?? 0) | ((this.packed[17] ?? 0) << 8);
  }

  /** 4 or 6. */
  get family(): 4 | 6 {
    return this.packed[18] === 6 ? 6 : 4;
  }

  /** Number of the interface of a link-local address, else 0. */
  get scopeId(): number {
    const { packed } = this;
    return ((packed[20] ?? 0) | ((packed[21] ?? 0) << 8) | ((packed[22] ?? 0) << 16) | ((packed[23] ?? 0) << 24)) >>> 0;
  }

  /** The same address with another port. @internal */
  withPort(port: number): Endpoint {
    const packed = this.packed.slice();
    packed[16] = port & 0xff;
    packed[17] = port >> 8;
    return new Endpoint(packed);
  }

  /** Whether both are the same address and port. */
  equals(other: unknown): boolean {
    return other instanceof Endpoint && Buffer.compare(other.packed, this.packed) === 0;
  }

  /** `192.0.2.1:80`, `[2001:db8::1]:80`. */
  toString(): string {
    return endpointText(this.address, this.port);
  }

  /** Address, port and family as a plain object. */
  toJSON(): { address: string; port: number; family: 4 | 6 } {
    return { address: this.address, port: this.port, family: this.family };
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: Endpoint): string {
        return String(this);
      },
    });
  }
}

/** The number of an interface, from its number or its name. */
function scopeOf(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  const scope = networkInterfaces()[zone]?.find((entry) => entry.family === 'IPv6' && entry.scopeid > 0);
  if (scope?.family !== 'IPv6') throw new RoutePoolError('ERR_ROUTEPOOL_NO_INTERFACE', `there is no interface '${zone}' with link-local IPv6 addresses`);
  return scope.scopeid;
}
