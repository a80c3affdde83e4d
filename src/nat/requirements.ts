/** Which requirements for NATs one does not meet (RFC 4787 for UDP, RFC 5382 for TCP). */
import { roughDuration } from '../duration.ts';
import type { NatBehaviour } from './behaviour.ts';
import type { NatFamily } from './report.ts';

/** A requirement that a NAT does not meet. */
export interface NatViolation {
  /** 4787 (UDP) or 5382 (TCP). */
  readonly rfc: 4787 | 5382;
  /** Such as `REQ-1`. */
  readonly requirement: string;
  /** How strongly the RFC asks for it. */
  readonly level: 'must' | 'should';
  /** What is asked for, and what this NAT does. */
  readonly text: string;
}

/** The shortest time that an idle UDP mapping must be kept, in ms (RFC 4787, REQ-5). */
const REQUIRED_LIFETIME_MS = 120_000;

/**
 * The requirements that are known not to be met; what was not found out breaks nothing. Without a NAT there are none: a
 * firewall alone may do as it likes.
 *
 * @param found what was measured; without it only what the behaviour tells
 */
export function violationsOf(behaviour: NatBehaviour, found?: NatFamily): readonly NatViolation[] {
  if (behaviour.mapping === 'none' || behaviour.blocked) return [];
  const violations: NatViolation[] = [];
  const add = (rfc: 4787 | 5382, requirement: string, level: 'must' | 'should', text: string) =>
    violations.push({ rfc, requirement, level, text });
  if (isDependent(behaviour.mapping) || behaviour.endpointDependent) {
    add(
      4787,
      'REQ-1',
      'must',
      'a NAT must use the same mapping for all destinations, and this one makes another for each',
    );
  }
  if (behaviour.pooling === 'arbitrary') {
    add(
      4787,
      'REQ-2',
      'should',
      'all that a host sends should leave with one external address, and here it leaves with several',
    );
  }
  if (found?.overloading.value === 'yes') {
    add(4787, 'REQ-3', 'must', 'a mapped port must belong to one socket at a time, and this NAT gives it to several');
  }
  const { deadMs } = found?.lifetime ?? {};
  if (deadMs !== undefined && deadMs <= REQUIRED_LIFETIME_MS) {
    add(
      4787,
      'REQ-5',
      'must',
      `an idle mapping must be kept for two minutes, and this NAT has forgotten it after ${roughDuration(deadMs)}`,
    );
  }
  if (behaviour.filtering === 'address-and-port-dependent') {
    add(
      4787,
      'REQ-8',
      'should',
      'the filter should let in everybody, or any port of an address that was sent to; this one wants the very port too',
    );
  }
  if (behaviour.hairpin === 'no') {
    add(
      4787,
      'REQ-9',
      'must',
      'two hosts behind the NAT must reach each other by their external addresses, and here they do not',
    );
  } else if (behaviour.hairpin === 'internal-source') {
    add(
      4787,
      'REQ-9a',
      'must',
      'hosts behind the NAT must see each other with their external addresses, and here they see the internal ones',
    );
  }
  if (found?.alg.value === 'rewrites') {
    add(
      4787,
      'REQ-10',
      'should',
      'what packets carry should be left alone, and something here rewrites addresses inside of them',
    );
  }
  if (isDependent(found?.tcpMapping.value)) {
    add(
      5382,
      'REQ-1',
      'must',
      'the mapping of TCP connections must be the same for all destinations too, and this NAT makes another for each',
    );
  }
  return violations;
}

/** Whether a mapping depends on the destination. */
function isDependent(mapping: string | undefined): boolean {
  return mapping === 'address-dependent' || mapping === 'address-and-port-dependent';
}
