/** Which messages a subscription is for: by their bytes, by who sent them. */
import { wrong } from '../../options/check.ts';
import { isIP } from '../../address/is-ip.ts';
import { canonicalAddress } from '../../address/host.ts';

/** Where a message came from. */
export interface Sender {
  /** Its address, in canonical form (RFC 5952); a link-local one with its zone. */
  readonly address: string;
  /** Its port. */
  readonly port: number;
}

/** A message. */
export interface Message {
  /** Its bytes. They are nobody else's: they may be kept. */
  readonly data: Buffer;
  /** Who sent it. */
  readonly from: Sender;
}

/**
 * Which messages: a predicate, or a regular expression. It is tested on the bytes, each of which is a character (`\xff`
 * is the byte 255); with the flag `u` or `v` on their text in UTF-8.
 */
export type MessagePattern = RegExp | ((message: Message) => boolean);

/** Whose messages: an address, with any port if the port is 0 or missing. */
export type PeerFilter =
  string | readonly [address: string, port: number] | { readonly address: string; readonly port?: number };

/** The bytes of a message as characters, made once for all patterns that look at it. */
export class MessageText {
  readonly #data: Buffer;
  #latin1: string | undefined;
  #utf8: string | undefined;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get(utf8: boolean): string {
    return utf8 ? (this.#utf8 ??= this.#data.toString('utf8')) : (this.#latin1 ??= this.#data.toString('latin1'));
  }
}

/** Whether a message is meant. What a predicate throws is thrown. */
export type Matcher = (message: Message, text: MessageText) => boolean;

/**
 * Makes one question of pattern and peer.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` for `pattern` or `from`
 */
export function matcher(pattern: unknown, from: unknown): Matcher {
  const isMeant = byPattern(pattern);
  const peer = readPeer(from);
  if (peer === undefined) return isMeant;
  const { address, port } = peer;
  return (message, text) =>
    (port === 0 || message.from.port === port) && message.from.address === address && isMeant(message, text);
}

function byPattern(pattern: unknown): Matcher {
  if (pattern === undefined || pattern === null) return () => true;
  if (typeof pattern === 'function') {
    const predicate = pattern as (message: Message) => unknown;
    return (message) => Boolean(predicate(message));
  }
  if (pattern instanceof RegExp) {
    // A copy of our own: `g` and `y` make an expression remember where it was, and somebody else may be using it.
    const own = new RegExp(pattern.source, pattern.flags.replace('g', ''));
    const utf8 = own.unicode || own.flags.includes('v');
    return (_message, text) => {
      own.lastIndex = 0;
      return own.test(text.get(utf8));
    };
  }
  return wrong('pattern', 'a RegExp or a function', pattern, 1);
}

function readPeer(from: unknown): Sender | undefined {
  if (from === undefined || from === null) return undefined;
  const [address, port = 0]: unknown[] =
    typeof from === 'string'
      ? splitText(from)
      : Array.isArray(from)
        ? from
        : typeof from === 'object'
          ? [(from as Partial<Sender>).address, (from as Partial<Sender>).port]
          : [from];
  if (typeof address !== 'string' || isIP(address) === 0)
    return wrong('from', "an IP address, with or without a port, like '192.0.2.1' or ['192.0.2.1', 53]", from, 1);
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65_535)
    return wrong('from', 'a port from 0 (any) to 65535', from, 1);
  return { address: canonicalAddress(address), port };
}

/** `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]:53`. */
function splitText(text: string): unknown[] {
  if (isIP(text) !== 0) return [text];
  const parts = /^(?:\[(.*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  return parts === null ? [undefined] : [parts[1] ?? parts[2], Number(parts[3])];
}
