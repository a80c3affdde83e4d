/** A NAT in plain words: what it means for somebody who wants to be reached. */
import type { NatBehaviour } from './behaviour.ts';
import type { NatType } from './p2pd-types.ts';
import type { NatFamily, NatNumbers } from './report.ts';
import { violationsOf } from './requirements.ts';
import { roughDuration } from '../duration.ts';

/** What is explained: the behaviour, its numbers, and what was measured. */
export interface Explained {
  readonly behaviour: NatBehaviour;
  readonly numbers: NatNumbers;
  /** Undefined when only numbers are known, as from a dict. */
  readonly found: NatFamily | undefined;
}

/** An explanation, part by part. */
export interface NatExplanation {
  /** What it is, in one sentence. */
  readonly headline: string;
  /** Questions that people have, with the answers. */
  readonly answers: readonly { readonly question: string; readonly answer: string }[];
  /** What else is to be known: what could not be found out, and why; requirements that are not met. */
  readonly notes: readonly string[];
}

const HEADLINES: Readonly<Record<NatType, string>> = {
  1: 'No NAT and no filter: an open Internet connection.',
  2: 'No NAT, but a firewall that lets in nothing but answers (symmetric UDP firewall).',
  3: 'A full cone NAT: the same port for all destinations, and open to everybody.',
  4: 'An address-restricted NAT: the same port for all destinations, open to the addresses that it has sent to.',
  5: 'A port-restricted NAT: the same port for all destinations, open to the addresses and ports that it has sent to.',
  6: 'A symmetric NAT: another port for each destination.',
  7: 'UDP is blocked: nothing comes back.',
};

const REACHED: Readonly<Record<NatType, string>> = {
  1: 'Yes. Whoever knows your address and port can send to you.',
  2: 'Not unasked: only an address and port that you have sent something to can answer.',
  3: 'Yes, from your first packet on: once you have sent anything from a port, everybody can send to its external address and port.',
  4: 'Only from addresses that you have sent something to; from these with any port.',
  5: 'Not unasked: only an address and port that you have sent something to can answer.',
  6: 'Not unasked, and nobody can be told a port to send to: the port that one server sees is not the one that others see.',
  7: 'No, not over UDP.',
};

const PEERS: Readonly<Record<NatType, string>> = {
  1: 'Yes, with everybody whose UDP is not blocked: the other side sends first.',
  2: 'Yes, if both send at the same time (hole punching), with all but symmetric NATs, whose port would have to be guessed.',
  3: 'Yes, with everybody whose UDP is not blocked: tell the other side the external address and port that a STUN server saw.',
  4: 'Yes, if both send at the same time (hole punching), also with symmetric NATs: their port does not matter here.',
  5: 'Yes, if both send at the same time (hole punching), with all but symmetric NATs, whose port would have to be guessed.',
  6: 'Only with a peer who is open, behind a full cone or behind an address-restricted NAT. With others a relay (TURN) is needed.',
  7: 'No. A relay that is reached over TCP (TURN over TLS on port 443) is what is left.',
};

const PREDICTABLE =
  'Only with a peer who is open, behind a full cone or behind an address-restricted NAT; with others perhaps, by guessing the next port, which here follows a pattern. Have a relay (TURN) ready.';

/** Explains it. */
export function explainNat({ behaviour, numbers, found }: Explained): NatExplanation {
  if (found !== undefined && found.connectivity.value !== 'ok' && !behaviour.blocked) return notFound(found);
  const known = !numbers.assumed;
  return {
    headline: known ? HEADLINES[numbers.type] : partly(behaviour, numbers),
    answers: [
      { question: 'Can others reach me?', answer: withDoubt(reached(behaviour, numbers), known) },
      { question: 'Can two peers connect directly?', answer: withDoubt(peers(behaviour, numbers), known) },
      { question: 'Will a port mapping survive?', answer: survival(behaviour, found) },
    ],
    notes: [
      ...seenFrom(found),
      ...(behaviour.blocked ? [] : [...ports(behaviour, found), ...doubts(found)]),
      ...connection(found),
      ...violationsOf(behaviour, found).map(
        (violation) => `It breaks RFC ${violation.rfc}, ${violation.requirement}: ${violation.text}.`,
      ),
    ],
  };
}

/** Nobody answered, or nobody could be asked: that is not a property of the NAT. */
function notFound({ family, connectivity, servers }: NatFamily): NatExplanation {
  const headline = {
    'dns-failed': 'The names of the servers do not resolve, so nothing is known of the NAT.',
    'no-route': 'There is no route to the servers, so nothing is known of the NAT.',
    'captive-portal': 'A captive portal stands before the Internet: log in with a browser, then ask again.',
    'no-reply':
      connectivity.reason === 'server-refused'
        ? 'The servers refuse to answer, so nothing is known of the NAT.'
        : 'No server answered, so nothing is known of the NAT.',
    'no-server': `IPv${family} was not looked at: none of the servers has an IPv${family} address. Name one that has, as in ${family === 6 ? '[2001:db8::1]:3478' : '192.0.2.1:3478'}, to find out.`,
    'stopped': 'It was stopped before anything was known.',
  }[connectivity.value as string];
  const why =
    connectivity.why === undefined || connectivity.value === 'no-server'
      ? []
      : [capital(`${sentence(connectivity.why)}.`)];
  const asked =
    servers.length === 0
      ? []
      : [
          `Asked: ${servers.map((server) => (server.name === server.server ? server.name : `${server.name} (${server.server})`)).join(', ')}.`,
        ];
  return { headline: headline ?? 'Nothing is known of the NAT.', answers: [], notes: [...why, ...asked] };
}

function partly({ mapping, filtering, endpointDependent }: NatBehaviour, { type, rfc3489 }: NatNumbers): string {
  const about: string[] = [];
  if (mapping === 'none') about.push('there is no NAT');
  else if (mapping === 'endpoint-independent') about.push('the mapped port is the same for all destinations');
  else if (mapping !== 'unknown' || endpointDependent) about.push('the mapped port is another for each destination');
  if (filtering !== 'unknown') about.push(`the filter is ${filtering}`);
  if (about.length === 0)
    return `It could not be found out what kind of NAT this is; until then it is taken for ${article(rfc3489 === 'unknown' ? 'port restricted cone' : rfc3489)}, as a careful guess.`;
  const missing =
    filtering === 'unknown' ? 'whom it lets in could not be found out' : 'the rest could not be found out';
  return `${capital(about.join(', and '))}; ${missing}, and it is taken for the strictest kind that fits (P2PD's type ${type}).`;
}

function reached({ mapping, filtering }: NatBehaviour, { type }: NatNumbers): string {
  // A firewall may be learnt by address alone, which has no type of its own.
  if (mapping === 'none' && filtering === 'address-dependent') return REACHED[4];
  if (type === 6 && filtering === 'endpoint-independent')
    return 'Hardly: each mapped port is open to everybody, but it is another one for each destination, so nobody can be told which.';
  return REACHED[type];
}

function peers(behaviour: NatBehaviour, { type }: NatNumbers): string {
  if (behaviour.mapping === 'none' && behaviour.filtering === 'address-dependent') return PEERS[4];
  const predictable =
    behaviour.allocation !== undefined &&
    ['equal', 'preserving', 'independent', 'dependent'].includes(behaviour.allocation);
  return type === 6 && predictable ? PREDICTABLE : PEERS[type];
}

function withDoubt(answer: string, known: boolean): string {
  return known
    ? answer
    : `Not known for sure. If it is as strict as it may be: ${answer.charAt(0).toLowerCase()}${answer.slice(1)}`;
}

/** What to send how often: mappings are kept two minutes by the RFC, and less by many. */
const CAREFUL = 'To be safe, send something every 15 s (RFC 8445, section 11).';

function survival({ mapping, blocked }: NatBehaviour, found: NatFamily | undefined): string {
  if (blocked) return 'There is none: UDP is blocked.';
  const what = mapping === 'none' ? "There is no mapping; what can expire is the firewall's leave to answer." : '';
  const { value, aliveMs, deadMs, why } = found?.lifetime ?? { value: 'not-asked' as const };
  const join = (...parts: (string | undefined)[]) => parts.filter(Boolean).join(' ');
  if (value === 'measured' && deadMs !== undefined) {
    const alive =
      aliveMs === undefined || aliveMs === 0 ? '' : `it is kept for ${roughDuration(aliveMs)} of silence, and `;
    return join(
      what,
      capital(`${alive}it is gone after ${roughDuration(deadMs)} at the latest: send something more often than that.`),
    );
  }
  if (value === 'at-least' && aliveMs !== undefined)
    return join(what, `It was still there after ${roughDuration(aliveMs)} of silence; longer was not waited.`);
  if (value === 'unknown')
    return join(
      what,
      `How long it is kept could not be found out${why === undefined ? '' : `: ${sentence(why)}`}.`,
      CAREFUL,
    );
  return join(what, 'While it is used, yes. How long it is kept in silence was not measured.', CAREFUL);
}

function seenFrom(found: NatFamily | undefined): string[] {
  if (found?.external === undefined) return [];
  const { externals, local } = found;
  const others =
    externals.length > 1 ? ` (also ${externals.slice(1, 4).join(', ')}${externals.length > 4 ? ', …' : ''})` : '';
  const notes =
    found.mapping.value === 'none'
      ? [`Seen from outside: ${local}, the same as inside.`]
      : [`Seen from outside: ${local} as ${found.external}${others}.`];
  // 100.64.0.0/10 (RFC 6598) is what carriers give to homes that they translate once more.
  if (/^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(local)) {
    notes.push(
      "Your own address is one that carriers share (RFC 6598): the NAT is the carrier's, and no setting of your router opens it.",
    );
  }
  return notes;
}

function ports({ allocation, step, mapping }: NatBehaviour, found: NatFamily | undefined): string[] {
  if (mapping === 'none') return [];
  const share =
    found === undefined || found.allocation.confidence >= 1
      ? ''
      : ` (${Math.round(found.allocation.confidence * 100)} % of the samples)`;
  switch (allocation) {
    case 'equal':
      return [`Ports outside are the same as inside${share}.`];
    case 'preserving':
      return [`Ports outside are at a fixed distance from those inside${share}.`];
    case 'independent':
      return [`Each new mapping gets a port ${step} further on${share}: the next one can be foreseen.`];
    case 'dependent':
      return [`Ports outside go ${step} further for each local port further${share}: the next one can be foreseen.`];
    case 'random':
      return ['Ports outside follow no pattern: the next one cannot be foreseen.'];
    default:
      return [];
  }
}

/** What could not be found out, and why. */
function doubts(found: NatFamily | undefined): string[] {
  if (found === undefined) return [];
  const notes: string[] = [];
  const about: [string, { value: string; why?: string }][] = [
    ['Who is let in', found.filtering],
    ['The mapping', found.mapping],
    ['The pattern of ports', found.allocation],
  ];
  for (const [what, { value, why }] of about) {
    if (value === 'unknown' && why !== undefined) notes.push(`${what} could not be found out: ${sentence(why)}.`);
  }
  if (found.disagree) {
    const said = found.servers
      .filter((server) => server.canTest)
      .map(({ name, mapping, filtering }) => `${name} says mapping ${mapping.value}, filtering ${filtering.value}`);
    notes.push(`The servers disagree: ${said.join('; ')}.`);
  }
  return notes;
}

/** What is to be said of the way to the servers. */
function connection(found: NatFamily | undefined): string[] {
  const notes: string[] = [];
  if (found === undefined) return notes;
  if (found.connectivity.value !== 'ok' && found.connectivity.why !== undefined)
    notes.push(capital(`${sentence(found.connectivity.why)}.`));
  if (found.interfaceBindError !== undefined)
    notes.push(`The packets could not be bound to the interface: ${found.interfaceBindError}.`);
  return notes;
}

/** The text of an explanation, a line for each sentence. */
export function explanationText({ headline, answers, notes }: NatExplanation): string {
  return [headline, ...answers.map(({ question, answer }) => `${question} ${answer}`), ...notes].join('\n');
}

/** Without the full stop: it becomes part of another sentence. */
function sentence(text: string): string {
  return text.trimEnd().replace(/\.$/, '');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function article(name: string): string {
  return /^[aeiou]/.test(name) ? `an ${name}` : `a ${name}`;
}
