/** What this machine allows. */
import { listCapabilities } from '../native/binding.ts';

/** The things that are tried. */
export type CapabilityName =
  | 'ipv4'
  | 'ipv6'
  | 'interfaces'
  | 'local-blocks'
  | 'one-socket'
  | 'interface-binding'
  | 'change-events'
  | 'sleep-detection'
  | 'receive-buffer'
  | 'open-files';

/** Whether something is there, and if not, why and what to do. */
export interface Capability {
  /** What was tried. */
  readonly name: CapabilityName;
  /** Whether it is there. For `receive-buffer` and `open-files`: whether there is enough. */
  readonly available: boolean;
  /** What was found, or why it is not there. */
  readonly what: string;
  /** What goes without it, and what to do; empty if it is there. */
  readonly advice: string;
}

/**
 * Tries what this machine allows and gives each with its reason. A few sockets are opened and closed; nothing is sent.
 */
export function capabilities(): Capability[] {
  return listCapabilities().map(({ name, available, what, advice }) => ({
    name: name as CapabilityName,
    available,
    what,
    advice,
  }));
}
