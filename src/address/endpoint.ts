/** An address with its port. */
import { networkInterfaces } from 'node:os';
import { inspect } from 'node:util';
import { parseAddress } from './parse.ts';
import { addressText } from './text.ts';
import { ENDPOINT_BYTES } from '../defaults.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { ipv4Bits, isIP } from './is-ip.ts';
import { canonicalAddress, endpointText } from './host.ts';

/** An address with its port. Its text is made when somebody looks. An IPv4-mapped IPv6 address is the IPv4 address. */
export class Endpoint {
  /**
   * The four bytes of an IPv4 address as a signed integer, the first one highest: a byte array would take five times
   * the memory.
   */
  readonly #bits: number;
  /** Port, and the family above it. */
  readonly #port: number;
  /** Always there for IPv6; for IPv4 once it was asked for. */
  #packed: Uint8Array | undefined;
  #address: string | undefined;

  private constructor(bits: number, port: number, family: 4 | 6, packed: Uint8Array | undefined) {
    this.#bits = bits;
    this.#port = port | (family << 16);
    this.#packed = packed;
  }

  /**
   * From an address, with a zone if it is a link-local one (`fe80::1%eth0`), and a port.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  static of(address: string, port: number): Endpoint {
    const bits = ipv4Bits(address);
    const [ip = '', zone] = bits === undefined ? canonicalAddress(address).split('%', 2) : [];
    const parsed = bits !== undefined || isIP(ip) === 0 ? undefined : parseAddress(ip);
    if (bits === undefined && parsed === undefined)
      throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `expected an IP address but received ${inspect(address)}`, {
        option: 'address',
      });
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new RoutePoolError(
        'ERR_ROUTEPOOL_OPTION',
        `expected an integer from 0 to 65535 for \`port\` but received ${inspect(port)}`,
        { option: 'port' },
      );
    }
    if (parsed === undefined) return new Endpoint(bits ?? 0, port, 4, undefined);
    const packed = new Uint8Array(ENDPOINT_BYTES);
    packed.set(parsed.bytes);
    packed[16] = port & 0xff;
    packed[17] = port >> 8;
    packed[18] = parsed.family;
    if (zone !== undefined) new DataView(packed.buffer).setUint32(20, scopeOf(zone), true);
    return Endpoint.at(packed, 0);
  }

  /**
   * `0.0.0.0` or `::`, with no port: all addresses of the family, from whose bytes nothing has to be read.
   *
   * @internal
   */
  static any(family: 4 | 6): Endpoint {
    const packed = new Uint8Array(ENDPOINT_BYTES);
    packed[18] = family;
    return Endpoint.at(packed, 0);
  }

  /** From bytes of the addon, which are copied. @internal */
  static at(bytes: Uint8Array, at: number): Endpoint {
    const port = (bytes[at + 16] ?? 0) | ((bytes[at + 17] ?? 0) << 8);
    if (bytes[at + 18] === 6) return new Endpoint(0, port, 6, new Uint8Array(bytes.subarray(at, at + ENDPOINT_BYTES)));
    const bits =
      ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    return new Endpoint(bits, port, 4, undefined);
  }

  /**
   * As the addon has it: address (16; IPv4 in the first 4), port (2, little-endian), family (1), 0, scope id (4). It
   * must not be changed.
   * @internal
   */
  get packed(): Uint8Array {
    if (this.#packed === undefined) {
      this.#packed = new Uint8Array(ENDPOINT_BYTES);
      this.writeTo(this.#packed, 0);
    }
    return this.#packed;
  }

  /** Writes {@link Endpoint.packed} to a place. @internal */
  writeTo(bytes: Uint8Array, at: number): void {
    if (this.family === 6) {
      bytes.set(this.packed, at);
      return;
    }
    const bits = this.#bits;
    bytes[at] = bits >> 24;
    bytes[at + 1] = bits >> 16;
    bytes[at + 2] = bits >> 8;
    bytes[at + 3] = bits;
    bytes.fill(0, at + 4, at + ENDPOINT_BYTES);
    bytes[at + 16] = this.#port;
    bytes[at + 17] = this.#port >> 8;
    bytes[at + 18] = 4;
  }

  /** The address; a link-local one of IPv6 with the number of its interface as zone. */
  get address(): string {
    if (this.#address === undefined) {
      const bits = this.#bits;
      this.#address =
        this.family === 4
          ? `${bits >>> 24}.${(bits >> 16) & 0xff}.${(bits >> 8) & 0xff}.${bits & 0xff}`
          : addressText(this.packed, 0, true) + (this.scopeId === 0 ? '' : `%${this.scopeId}`);
    }
    return this.#address;
  }

  /** The port. */
  get port(): number {
    return this.#port & 0xffff;
  }

  /** 4 or 6. */
  get family(): 4 | 6 {
    return this.#port >> 16 === 6 ? 6 : 4;
  }

  /** Number of the interface of a link-local address, else 0. */
  get scopeId(): number {
    if (this.family === 4) return 0;
    const { packed } = this;
    return ((packed[20] ?? 0) | ((packed[21] ?? 0) << 8) | ((packed[22] ?? 0) << 16) | ((packed[23] ?? 0) << 24)) >>> 0;
  }

  /** The same address with another port. @internal */
  withPort(port: number): Endpoint {
    if (this.family === 4) return new Endpoint(this.#bits, port, 4, undefined);
    const packed = this.packed.slice();
    packed[16] = port & 0xff;
    packed[17] = port >> 8;
    return new Endpoint(0, port, 6, packed);
  }

  /** Whether both are the same address and port. */
  equals(other: unknown): boolean {
    if (!(other instanceof Endpoint) || other.#port !== this.#port) return false;
    return this.family === 4 ? other.#bits === this.#bits : Buffer.compare(other.packed, this.packed) === 0;
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
  if (scope?.family !== 'IPv6')
    throw new RoutePoolError(
      'ERR_ROUTEPOOL_NO_INTERFACE',
      `there is no interface '${zone}' with link-local IPv6 addresses`,
    );
  return scope.scopeid;
}
