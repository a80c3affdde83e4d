/** What servers saw of addresses, which is why a route is believed. */
import type { AddressSeen } from '../native/binding.ts';

/** How sure an external address is. */
export type Certainty = 'agreed' | 'single-server' | 'unsure' | 'unverified';

/** What one server did with the requests of one address. */
export interface ServerAnswer {
  /** The server, as it was named. */
  readonly server: string;
  /** The address and port that it saw; undefined if it did not answer. */
  readonly external: string | undefined;
  /** The port that it saw; undefined if it did not answer. */
  readonly externalPort: number | undefined;
  /** From the request that was answered to the answer. */
  readonly roundTripMs: number | undefined;
  /** How often it was asked. */
  readonly attempts: number;
  /** Error number of a refused send. */
  readonly errno: number | undefined;
  /** Error response. */
  readonly errorCode: number | undefined;
}

/** What was seen of one address. */
export interface Observation {
  /** The local address. */
  readonly ip: string;
  /** The local port that was asked from. */
  readonly port: number;
  /** What it leaves as, if that is known. */
  readonly external: string | undefined;
  /** How sure `external` is. */
  readonly certainty: Certainty;
  /** Whether all servers saw the port that was sent from. */
  readonly portPreserved: boolean | undefined;
  /** What each server did. */
  readonly answers: readonly ServerAnswer[];
}

/** Why a route is believed. */
export interface Evidence {
  /** When it was asked, in milliseconds since 1970; undefined for a restored route. */
  readonly at: number | undefined;
  /** What was seen of each address that was asked. */
  readonly observations: readonly Observation[];
  /** Why the sockets could not be bound to the interface; undefined if they were, or need not be. */
  readonly interfaceBindError: string | undefined;
}

/** What the addon says of an address, with the servers' names. */
export function toObservation(seen: AddressSeen, servers: readonly string[]): Observation {
  return {
    ip: seen.ip,
    port: seen.port,
    external: seen.external ?? undefined,
    certainty: seen.certainty as Certainty,
    portPreserved: seen.portPreserved ?? undefined,
    answers: seen.answers.map((answer) => ({
      server: servers[answer.server] ?? '',
      external: answer.external ?? undefined,
      externalPort: answer.externalPort ?? undefined,
      roundTripMs: answer.roundTripMs ?? undefined,
      attempts: answer.attempts,
      errno: answer.errno ?? undefined,
      errorCode: answer.errorCode ?? undefined,
    })),
  };
}
