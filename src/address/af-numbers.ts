/**
 * The integers of AF_INET and AF_INET6. P2PD's dict has the ones of the machine that wrote it, as keys and as values.
 */

/** The same on every system that Node runs on. */
export const AF_INET = 2;

/** AF_INET6 in each system's `sys/socket.h` (Windows: `ws2def.h`). */
const AF_INET6: Partial<Record<NodeJS.Platform, number>> = {
  linux: 10,
  android: 10,
  win32: 23,
  cygwin: 23,
  netbsd: 24,
  openbsd: 24,
  aix: 24,
  sunos: 26,
  freebsd: 28,
  darwin: 30,
};

/** Every integer that some system has for AF_INET6, lowest first. */
export const AF_INET6_ANYWHERE: readonly number[] = [...new Set(Object.values(AF_INET6))].toSorted((a, b) => a - b);

/** The integer of a family on a system; Linux's where the system is not known. */
export function familyNumber(family: 4 | 6, platform: NodeJS.Platform): number {
  return family === 4 ? AF_INET : (AF_INET6[platform] ?? 10);
}
