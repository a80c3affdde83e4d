/** What `routepool COMMAND --help` says: kept apart from the commands, since help must not need the addon. */
const INTERFACES_HELP = `routepool interfaces: which external addresses the addresses of this machine leave as

Usage: routepool [interfaces] [NAME…] [OPTIONS]

NAME is an interface, or an address that one holds. Without any, all that are up are asked, loopback left out.

  --server SERVER       STUN server: host, host:port, [v6]:port or stun:host; more than once for several
                        (default: a few public servers; two that agree are believed)
  --timeout MS          give a server up after MS milliseconds (default: 5000)
  --offline             ask nobody: only what the system says
  --json                one document with facts, routes and evidence

Exit code: 0 all loaded, 1 some could not be, 2 wrong usage
`;

const NAT_HELP = `routepool nat: what kind of NAT is on the way, and what it means

Usage: routepool nat [NAME] [OPTIONS]

NAME is an interface, or an address that one holds: it is asked from there. By default the default interface.
  --from ADDRESS      ask from this address, which a block of the interface may hold

Whom to ask:
  --server SERVER     STUN server: host, host:port, [v6]:port or stun:host; more than once for several
                      (default: a few public servers). One that speaks RFC 5780 tells the filter too
  --portal URL        what to ask for a 204 if STUN is silent, to tell a captive portal
What to find out:
  --profile NAME      fast, normal or patient: how long silence is waited for (default: normal)
  --lifetime          also how long an idle mapping is kept (takes minutes)
  --lifetime-max MS   try at most MS milliseconds of silence (default: 150000)
  --hairpin           also whether two hosts behind the NAT reach each other by their external addresses
  --no-tcp            not the mapping of TCP connections
What to print:
  --evidence          each sub-test too
  --json              one document: the NAT's dict with details and evidence

Ctrl-C ends it with what was found until then, a second one at once.
Exit code: 0 found out, 3 not all of it or stopped, 2 wrong usage, 1 nothing (no server answered, could be reached or resolved)
`;

const STUN_SERVER_HELP = `routepool stun-server: a STUN server that can also answer from another address

Usage: routepool stun-server [ADDRESS…] [OPTIONS]

ADDRESS is an address of this machine; two of a family make a server of RFC 5780, with which clients find out how their NAT
behaves. Without any, two with different external addresses are chosen from this machine's routes, of IPv4 and of IPv6.

Where:
  --port N            the primary port (default: 3478)
  --other-port N      the other port (default: the next after --port)
  --advertise IP      what clients see instead of ADDRESS behind a NAT that maps one to one; once for each ADDRESS, in order
  --server SERVER, --timeout MS, --offline
                      whom to ask for the external addresses, how long, or nobody: take the interfaces' own
What:
  --no-tcp            UDP only
  --rfc3489           also answer clients of RFC 3489, which send no magic cookie (IPv4, UDP)
  --software TEXT     call yourself TEXT in each response (default: nothing)
Whom:
  --allow BLOCK       only sources of BLOCK; more than once for several
  --rate-per-prefix N replies a second for each /24, IPv6 /56 (default: 1000; 0: no limit)
How:
  --workers N         threads (default: one for each processor; 1 where ports cannot be shared)
  --receive-buffer N  ask the kernel for N bytes of receive buffer for each socket (default: 4194304)
  --metrics [HOST:]PORT
                      Prometheus metrics at http://HOST:PORT/metrics (default HOST: 127.0.0.1)
  --json              print where it listens, and at the end what it has done, as JSON
  --quiet             no live line and no notes

It runs until it is interrupted. Exit code: 0 interrupted, 2 wrong usage, 1 failure
`;

const VALIDATE_HELP = `routepool validate: prove for each address of a block that it leaves as itself

Usage: routepool validate BLOCK… [OPTIONS]

BLOCK is a prefix (10.0.0.0/16, fd00::/112), a range (10.0.0.5-10.0.1.9) or an address. This machine must hold it.
It may also be the name of an interface, for all that it holds; or pool, for the addresses of the default interface
that leave as themselves.

Whom to ask:
  --server SERVER     STUN server: host, host:port, [v6]:port or stun:host; more than once for several
                      (default: a STUN server inside this process for loopback blocks, else public servers)
  --interface NAME    only send and receive through this network interface
  -4, -6              of an interface or the pool, the IPv4 or the IPv6 addresses (default: IPv4 if there are any)
How:
  --rate N            at most N probes a second (default: as fast as answers come; 50 with public servers)
  --passes N          probe a silent source N times, 1 to 32 (default: as the measured loss demands, up to 160 times,
                      more while nothing gets through)
  --timeout MS        how long to wait before probing again; later replies still count (default: 2000)
  --hosts POLICY      all, subnet or no-0-255 (default: all of a routed block, else subnet)
  --sample LEN[:N]    ask only N random hosts (default 1) of each sub-prefix /LEN
  --seed N            order of the questions, to repeat a run
  --receive-buffer N  ask the kernel for N bytes of receive buffer (default: 4194304)
  --sockets MODE      one socket for all sources, or one per-source
  --state FILE        keep the state in FILE, and go on from it
What to print (data on standard output, progress on standard error):
  --json              one document: summary and verdicts
  --ndjson            one verdict a line
  --csv               ip,status,external,external_port,error,reason,asked,rtt_ms
  --only STATUS,…     only verdicts with these statuses; without a format, their addresses
                      (ok, mapped, no-reply, send-error, bind-error, bad-reply, unknown)
  --quiet             no progress and no notes

Exit code: 0 all ok, 3 some not or stopped (also by a closed pipe), 2 wrong usage, 1 failure
`;

const WATCH_HELP = `routepool watch: tells when addresses, links, default routes or external addresses change

Usage: routepool watch [OPTIONS]

  --external            also what addresses leave as: STUN servers are asked at the beginning and after each change
  --interval SECONDS    with --external, ask again so often (up to 1.3 times as long; at least 20 with public servers)
  --server SERVER       STUN server for that: host, host:port, [v6]:port or stun:host; more than once for several
                        (default: a few public servers; two that agree are believed)
  --timeout MS          give a server up after MS milliseconds (default: 5000)
  --poll MS             look at the interfaces so often (default: Linux tells; elsewhere 2000)
  --count N             end after N changes
  --json                one JSON object a line

Exit code: 0 ended by --count, SIGINT or SIGTERM, 2 wrong usage, 3 the reader has gone, 1 failure
`;

/** The help of each command, by its name. */
export const HELP_OF: ReadonlyMap<string, string> = new Map([
  ['interfaces', INTERFACES_HELP],
  ['stun-server', STUN_SERVER_HELP],
  ['nat', NAT_HELP],
  ['validate', VALIDATE_HELP],
  ['watch', WATCH_HELP],
]);
