/** Streams, agents and daemons once more, with the portable reader. */
import { setPipeReader } from '../../src/index.ts';

setPipeReader('portable');
await import('./stream.spec.ts');
await import('../http/agents.spec.ts');
await import('../daemon/daemon.spec.ts');
await import('../daemon/udp.spec.ts');
await import('../daemon/connections.spec.ts');
await import('../daemon/limits.spec.ts');
