/**
 * Networks that lose packets otherwise than one in so many: by rate, by place, by time, by flow. In none may a verdict
 * be wrong, and the share of the working sources that is written here must be found.
 */
import { SERVERS } from './gateway-lab.ts';
import { type Family, Net, type Part, type SilenceRow, type Truth } from './silence-network.ts';

/** What is found unless a row says more or less. */
const FOUND = 0.95;

const limit = (perSecond: number, burst: number) => `limit rate over ${perSecond}/second burst ${burst} packets drop`;
const byLot = (percent: number) => `numgen random mod 100 < ${percent}`;
const lose = (percent: number) => `${byLot(percent)} drop`;

function row(family: Family, name: string, bits: number, why: string, more: Partial<SilenceRow> = {}): SilenceRow {
  return { family, name, bits, why, found: FOUND, ...more };
}

/** Rows of both families: the same kinds, in blocks of as many sources. */
function kinds(family: Family): SilenceRow[] {
  const net = new Net(family);
  const length = (bits: number) => `/${(family === 4 ? 32 : 128) - bits}`;
  const few = { first: 77 * 256, bits: 8 };
  const many = { first: 5 * 4_096, bits: 12 };
  const inAll = { first: 0, bits: 16 };
  // The test suite runs some kinds in one family, some in the other.
  const [in4, in6] = [{ inTests: family === 4 }, { inTests: family === 6 }];
  /** A limit for all that is asked. */
  const limited = (perSecond: number, burst: number) => ({
    through: [`${net.from(inAll)} ${limit(perSecond, burst)}`],
  });
  /** The replies to a part are lost. */
  const lossy = (where: Part, percent: number) => ({ through: [`${net.to(where)} ${lose(percent)}`] });
  const table = (flows: number) => ({
    tracked: true,
    through: [`ct state new ct count over ${flows} drop`],
    found: 0.5,
  });
  const [s, m, l] = [length(8), length(12), length(16)];
  return [
    row(family, `200 a second, ${length(6)}`, 6, 'a small limit for all', { ...limited(200, 5), ...in4 }),
    row(family, `200 a second, ${s}`, 8, 'the same, and more to ask', { ...limited(200, 5), ...in6 }),
    row(family, `1,000 a second, ${length(10)}`, 10, 'a usual limit', { ...limited(1_000, 100), ...in4 }),
    row(family, `1,000 a second, ${m}`, 12, 'the same, four times as long', limited(1_000, 100)),
    row(family, `20,000 a second, ${l}`, 16, 'a limit near what a sweep does', limited(20_000, 50)),
    row(family, `${s} loses 20 %`, 16, 'the replies of one subnet take a bad way', { ...lossy(few, 20), found: 0.99 }),
    row(family, `${s} loses 50 %`, 16, 'a worse one', { ...lossy(few, 50), found: 0.99 }),
    row(family, `${s} loses 80 %`, 16, 'and worse', { ...lossy(few, 80), found: 0.99 }),
    row(family, `${m} loses 50 %`, 16, 'more sources than a few lucky controls hide', lossy(many, 50)),
    row(family, `${m} loses 80 %`, 16, 'and worse', lossy(many, 80)),
    row(family, `${s} of ${m} loses 50 %`, 12, 'a bad subnet among few', {
      ...lossy({ first: 1_792, bits: 8 }, 50),
      ...in6,
    }),
    row(family, `20 a second for one ${s}`, 16, 'a limit for one customer among many', {
      through: [`${net.from(few)} ${limit(20, 5)}`],
      found: 0.99,
    }),
    row(family, `200 a second for one ${m}`, 16, 'the same for a larger one', {
      through: [`${net.from(many)} ${limit(200, 20)}`],
      found: 0.93,
    }),
    row(
      family,
      `half of one ${s} refused`,
      16,
      'a local firewall that refuses by lot, beside eight that it refuses always',
      {
        own: [`${net.from(few)} ${lose(50)}`],
        refused: { first: 30 * 256 + 8, bits: 3 },
        ...in4,
        found: 0.99,
      },
    ),
    row(family, `flow table of 40,000, ${l}`, 16, 'old flows pass and new ones do not', table(40_000)),
    row(family, `flow table of 1,200, ${length(11)}`, 11, 'the same, small', table(1_200)),
    row(family, `stun-server's own limit, ${s}`, 8, 'for each /24, and each /56', { server: 'limited' }),
    row(family, `stun-server's own limit, ${m}`, 12, 'with more sources than its burst', { server: 'limited', ...in6 }),
  ];
}

const four = new Net(4);
/** Of 8.8.0.0/16. */
const part = (third: number, fourth = 0, bits = 8): Part => ({ first: third * 256 + fourth, bits });
const prohibited = 'reject with icmp type admin-prohibited';

/** Rows of one family alone. */
const OTHERS: SilenceRow[] = [
  row(4, 'clean', 16, 'nothing is lost', { found: 1 }),
  row(4, '20 % lost', 14, 'each way: loss as the textbooks have it', { through: [lose(20)], found: 0.99 }),
  row(4, '40 % lost', 12, 'each way', { through: [lose(40)] }),
  row(4, "stun-server's own limit, /16", 16, 'a limit for each /24', { server: 'limited' }),
  row(6, "stun-server's own limit, /112", 16, 'one for all: a second for each thousand', {
    server: 'limited',
    found: 0.5,
  }),
  row(4, 'stopped for 4 s', 8, 'a process that sleeps while the replies come: Ctrl-Z, a paused machine', {
    server: 'delaying',
    delayMs: [1_400, 1_400],
    stop: { at: 0.5, forMs: 4_000, runMs: 0, times: 1 },
    truth: () => 'works',
    inTests: true,
  }),
  row(4, 'stopped with all asked', 8, 'all replies come before it runs again', {
    server: 'delaying',
    delayMs: [1_400, 1_400],
    stop: { at: 1, forMs: 4_000, runMs: 0, times: 1 },
  }),
  row(4, 'stopped again and again', 10, 'a machine that hardly gets any time', {
    server: 'delaying',
    delayMs: [1_400, 1_400],
    stop: { at: 0.5, forMs: 2_500, runMs: 100, times: 8 },
    through: [lose(30)],
  }),
  row(4, 'late and lossy', 10, 'replies come as late as the time-out allows, in another order', {
    server: 'delaying',
    delayMs: [1_000, 1_950],
    through: [lose(10)],
  }),
  row(4, 'a /28 loses 60 %', 12, 'a place with sixteen sources', {
    through: [`${four.to(part(3, 32, 4))} ${lose(60)}`],
    found: 0.99,
    inTests: true,
  }),
  row(4, 'a path for sources loses 50 %', 14, 'one of four equal ways, chosen by source', {
    through: [`jhash ip saddr mod 4 == 0 ${lose(50)}`],
  }),
  row(
    4,
    'a path for flows is dead',
    12,
    'one of four equal ways, chosen by source and port: the same flow never passes',
    {
      through: ['udp dport 3478 jhash ip saddr . udp sport mod 4 == 0 drop'],
      inTests: true,
    },
  ),
  row(4, 'one of two servers limited', 10, 'what one server does not answer says nothing of the source', {
    servers: 2,
    through: [`ip saddr ${SERVERS[4][1]} ${limit(200, 5)}`],
    inTests: true,
  }),
  row(4, 'outages of 300 ms', 14, 'radio, a failing link: what is asked at once is lost at once', {
    outage: { forMs: 300, everyMs: 1_300 },
  }),
  row(4, 'two /24 share a limit', 14, 'a limit that belongs to no prefix of its own', {
    through: [`${four.from(part(12), part(41))} ${limit(40, 5)}`],
    found: 0.97,
  }),
  row(4, '500 a second, burst of 1', 10, 'two packets that come together are one too many: both of a pair, say', {
    through: [limit(500, 1)],
  }),
  row(4, '200 a second both ways, /26', 6, 'requests and replies take from one limit', {
    through: [limit(200, 5)],
    inTests: true,
  }),
  row(4, '200 a second both ways, /24', 8, 'the same, and more to ask', { through: [limit(200, 5)] }),
  row(4, '1,000 a second both ways, /20', 12, 'the same, higher', { through: [limit(1_000, 100)] }),
  row(4, 'replies limited', 12, 'a limit on the way back', {
    through: [`${four.to(part(0, 0, 16))} ${limit(2_000, 20)}`],
  }),
  row(4, 'a limit within a limit', 12, 'one for all, and a tighter one for a /24', {
    through: [`${four.from(part(9))} ${limit(20, 5)}`, limit(5_000, 50)],
    found: 0.93,
  }),
  row(4, 'new flows limited', 12, 'old flows, as those of controls, pass at any rate', {
    tracked: true,
    through: [`ct state new ${limit(500, 20)}`],
    found: 0.9,
    inTests: true,
  }),
  row(4, 'one a second for each source, 30 % lost', 10, 'who is asked often meets it, who is asked once does not', {
    sets: ['set met { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 60s; }'],
    through: [
      `${four.from(part(0, 0, 16))} update @met { ip saddr limit rate over 1/second burst 3 packets } drop`,
      `${four.to(part(0, 0, 16))} ${lose(30)}`,
    ],
    found: 0.9,
  }),
  row(4, 'table of 500 addresses', 11, 'a full table of neighbours or subscribers: who is in stays in', {
    sets: ['set known { type ipv4_addr; size 500; flags dynamic,timeout; timeout 60s; }'],
    through: [
      `${four.from(part(0, 0, 16))} update @known { ip saddr timeout 60s } accept`,
      `${four.from(part(0, 0, 16))} drop`,
    ],
    found: 0.2,
    inTests: true,
  }),
  row(4, 'first packet of each flow dropped', 11, 'for one source in eight: who comes back is let in', {
    sets: ['set met { type ipv4_addr . inet_service; size 65535; flags dynamic,timeout; timeout 60s; }'],
    through: [
      'ip saddr & 0.0.0.7 == 5 ip saddr . udp sport @met accept',
      'ip saddr & 0.0.0.7 == 5 udp dport 3478 add @met { ip saddr . udp sport } drop',
    ],
    found: 0.99,
    inTests: true,
  }),
  row(4, 'own firewall limits', 12, 'the kernel says EPERM above a rate', {
    own: [`udp dport 3478 ${limit(2_000, 20)}`],
    inTests: true,
  }),
  row(4, 'own firewall rejects half', 12, 'as refused, and an ICMP error comes as well', {
    own: [`${four.from(part(5))} ${byLot(50)} ${prohibited}`],
  }),
  row(4, 'gateway rejects above a rate', 10, 'an ICMP error is one router at one time, not a verdict', {
    through: [`${four.from(part(0, 0, 16))} limit rate over 500/second burst 20 packets ${prohibited}`],
  }),
];

/** All of them. */
export const SILENCE_ROWS: readonly SilenceRow[] = [...kinds(4), ...OTHERS, ...kinds(6)];

/** What a NAT for 128 of the sources makes of them. */
const translated = (index: number): Truth => (index >> 7 === 9 ? 'mapped' : index % 97 === 5 ? 'dead' : 'works');
// At this rate a run takes a second and more, and not a tenth of one.
const slowly = { options: ['--rate', '3000'] };

/** Networks in which a run is killed and goes on. */
export const RESUME_ROWS: readonly SilenceRow[] = [
  row(4, 'clean', 12, 'nothing is lost', slowly),
  row(4, '20 % lost', 12, 'loss as the textbooks have it', { ...slowly, through: [lose(20)] }),
  row(4, 'a /24 loses 50 %', 12, 'loss that a place has', { ...slowly, through: [`${four.to(part(7))} ${lose(50)}`] }),
  row(4, '1,000 a second', 10, 'loss that follows the rate', {
    ...slowly,
    through: [`${four.from(part(0, 0, 16))} ${limit(1_000, 100)}`],
  }),
  row(4, 'NAT for a /25', 12, 'a part of the block leaves as another address', { ...slowly, truth: translated }),
];
