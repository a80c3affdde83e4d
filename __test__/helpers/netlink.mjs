/** Sockets of this process that the kernel tells of interfaces and routes (netlink(7)); none on other systems. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** How many there are. @returns {number} */
export function netlinkSockets() {
  if (!existsSync('/proc/net/netlink')) return 0;
  const own = new Set(
    readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    }),
  );
  const rows = readFileSync('/proc/net/netlink', 'utf8').trim().split('\n').slice(1);
  // The second column is the protocol, 0 for NETLINK_ROUTE, and the last the number of the socket.
  return rows.map((row) => row.trim().split(/\s+/)).filter((row) => row[1] === '0' && own.has(`socket:[${row.at(-1)}]`))
    .length;
}
