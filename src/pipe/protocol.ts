/** Protocols, as P2PD names them. */

/** A stream of bytes. */
export const TCP = 'tcp';

/** Datagrams. */
export const UDP = 'udp';

/** TCP or UDP. */
export type Protocol = typeof TCP | typeof UDP;
