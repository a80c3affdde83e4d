/** What pipes do, for each reader. */
import { expect, it } from 'vitest';
import { pipeOpen, setPipeReader, pipeStats, TCP, UDP, type PipeReader } from '../../../src/index.ts';
import { errorTests } from './errors.ts';
import { descriptors, until } from './peers.ts';
import { stackTests } from './stacks.ts';
import { tcpTests } from './tcp.ts';
import { pipeTools } from './tools.ts';
import { udpTests } from './udp.ts';

/** Declares the tests. Must run before anything has opened a socket in this process. */
export function pipeTests(reader: PipeReader): void {
  setPipeReader(reader);
  const tools = pipeTools();
  const { echo, open, peers } = tools;

  it('reads in the way that was asked for', async () => {
    await open(UDP, null);
    expect(pipeStats().reader).toBe(reader);
    expect(() => setPipeReader('auto')).toThrowError(expect.objectContaining({ code: 'ERR_ROUTEPOOL_MISUSE' }));
  });

  tcpTests(tools);
  udpTests(tools);
  errorTests(tools);
  stackTests(tools);

  it('of several addresses the first that answers is taken, and the others are closed', async () => {
    const before = descriptors();
    const server = await echo();
    const lookup = (_: string, __: object, done: (error: null, found: { address: string; family: number }[]) => void) =>
      done(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const pipe = await pipeOpen(TCP, ['two.example', server.port], undefined, { lookup });
    expect(pipe.remoteAddress).toBe('127.0.0.1');
    await pipe.close();
    await server.close();
    peers.length = 0;
    await until(() => descriptors() <= before);
  });
}
