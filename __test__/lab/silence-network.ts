/**
 * A network that loses packets, as a row of a table: what it is made of, which sources are dead in it, and the rules
 * that make it so.
 */
import { OUTSIDE } from './gateway-lab.ts';

export type Family = 4 | 6;

/** 2 ** bits sources from number `first` of the block on. */
export interface Part {
  readonly first: number;
  readonly bits: number;
}

/** What is true of a source. */
export type Truth = 'works' | 'dead' | 'mapped' | 'refused';

/** What a row is made of. Rules are those of nftables, without table and chain. */
export interface SilenceRow {
  readonly name: string;
  /** What it stands for among real networks. */
  readonly why: string;
  readonly family: Family;
  /** 2 ** bits sources are asked. */
  readonly bits: number;
  /** Of the gateway, for what passes it; requests and replies. */
  readonly through?: readonly string[];
  /** Sets that those rules use. */
  readonly sets?: readonly string[];
  /** Of the client, for what it sends: what is dropped here is refused with EPERM. */
  readonly own?: readonly string[];
  /** Whether the gateway keeps track of each flow, and not only of those that it translates. */
  readonly tracked?: boolean;
  /**
   * `plain`: without a limit, the usual one; `limited`: `routepool stun-server` as it is by default; `delaying`: its
   * replies take long.
   */
  readonly server?: 'plain' | 'limited' | 'delaying';
  /** Shortest and longest time of a delaying server's replies in milliseconds. */
  readonly delayMs?: readonly [number, number];
  /**
   * The process is stopped for so long, so many times; first when the delaying server has got so many requests for each
   * source.
   */
  readonly stop?: { readonly at: number; readonly forMs: number; readonly runMs: number; readonly times: number };
  /** How many servers are asked; 1 unless said. */
  readonly servers?: 1 | 2;
  /** The gateway passes nothing for so long, so often; in milliseconds. */
  readonly outage?: { readonly forMs: number; readonly everyMs: number };
  /** This machine refuses these for good. */
  readonly refused?: Part;
  /** What is true of each source, in place of the usual faults. */
  readonly truth?: (index: number) => Truth;
  /** Options of the command; none, so that the defaults are what is judged, unless a row is about them. */
  readonly options?: readonly string[];
  /** The share of the working sources that must be `ok`. */
  readonly found: number;
  /** Whether it is among those that the test suite runs. */
  readonly inTests?: boolean;
}

/** How the rules of a family name a part of the block. */
export class Net {
  readonly family: Family;
  readonly ip: 'ip' | 'ip6';

  constructor(family: Family) {
    this.family = family;
    this.ip = family === 4 ? 'ip' : 'ip6';
  }

  from(...parts: Part[]): string {
    return `${this.ip} saddr ${this.#list(parts)}`;
  }

  to(...parts: Part[]): string {
    return `${this.ip} daddr ${this.#list(parts)}`;
  }

  #list(parts: Part[]): string {
    const texts = parts.map((part) => prefixOf(this.family, part));
    return texts.length === 1 ? (texts[0] ?? '') : `{ ${texts.join(', ')} }`;
  }
}

/** The address of source `index` of the block. */
export function addressOf(family: Family, index: number): string {
  return family === 4 ? `8.8.${index >> 8}.${index & 255}` : `2001:db8:8::${index === 0 ? '' : index.toString(16)}`;
}

function prefixOf(family: Family, { first, bits }: Part): string {
  return `${addressOf(family, first)}/${(family === 4 ? 32 : 128) - bits}`;
}

/** The block that the client of a row holds, and the one that is asked. */
export function blockOf({ family, bits }: Pick<SilenceRow, 'family' | 'bits'>): string {
  return prefixOf(family, { first: 0, bits });
}

/**
 * One in a hundred is dead, scattered; so is a run of one in 256, whose neighbours are dead too; one in three hundred
 * is translated. Small blocks have at least one of each.
 */
export function truthOf(row: SilenceRow, index: number): Truth {
  if (row.truth) return row.truth(index);
  if (isIn(row.refused, index)) return 'refused';
  const size = 2 ** row.bits;
  const run = Math.max(1, size >> 8);
  const start = (size >> 3) * 5;
  if (index >= start && index < start + run) return 'dead';
  const lot = Math.imul(index + 1, 2_654_435_761) >>> 0;
  if (index === 7 || lot % 101 === 3) return 'dead';
  return index === 9 || lot % 307 === 9 ? 'mapped' : 'works';
}

function isIn(part: Part | undefined, index: number): boolean {
  return part !== undefined && index >= part.first && index < part.first + 2 ** part.bits;
}

/** Rules of the gateway: those of the row, and what makes its sources dead or translated. */
export function gatewayRules(row: SilenceRow): string {
  const { family } = row;
  const { ip } = new Net(family);
  const sources = Array.from({ length: 2 ** row.bits }, (_, index) => index);
  const dead = sources.filter((index) => truthOf(row, index) === 'dead');
  const list = (indices: number[]) =>
    indices.length === 0 ? '' : `elements = { ${indices.map((index) => addressOf(family, index)).join(', ')} };`;
  const block = blockOf(row);
  const set = (name: string, indices: number[]) => `set ${name} { type ipv${family}_addr; ${list(indices)} }`;
  // Half of the dead lose their requests before anything counts these, half their replies after everything has.
  return `
    table ${ip} lab {
      ${set(
        'mute',
        dead.filter((_, i) => i % 2 === 0),
      )}
      ${set(
        'deaf',
        dead.filter((_, i) => i % 2 === 1),
      )}
      ${set(
        'mapped',
        sources.filter((index) => truthOf(row, index) === 'mapped'),
      )}
      set off { type inet_service; flags timeout; }
      ${(row.sets ?? []).join('\n')}
      chain early { type filter hook prerouting priority raw;
        ${ip} saddr @mute drop
        ${row.tracked ? '' : `${ip} saddr ${block} ${ip} saddr != @mapped notrack`}
        ${row.tracked ? '' : `${ip} daddr ${block} notrack`}
      }
      chain through { type filter hook forward priority filter;
        udp dport @off drop
        udp sport @off drop
        ${(row.through ?? []).join('\n')}
      }
      chain late { type filter hook postrouting priority 200; ${ip} daddr @deaf drop; }
      chain out { type nat hook postrouting priority srcnat;
        ${ip} saddr @mapped oifname g1 snat to ${OUTSIDE[family]}
      }
    }`;
}

/** Rules of the client's own firewall; undefined if it has none. */
export function clientRules(row: SilenceRow): string | undefined {
  const net = new Net(row.family);
  const own = [...(row.refused ? [`${net.from(row.refused)} drop`] : []), ...(row.own ?? [])];
  return own.length === 0
    ? undefined
    : `table ${net.ip} own { chain sent { type filter hook output priority filter; ${own.join('\n')}\n } }`;
}
