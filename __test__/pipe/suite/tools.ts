/** What each part of the tests of pipes shares: peers and pipes that are gone after each test, and none left open. */
import { afterEach, expect } from 'vitest';
import { pipeOpen, pipeStats, type Pipe } from '../../../src/index.ts';
import { tcpServer, udpPeer, type TcpPeer, type UdpPeer } from './peers.ts';

export interface PipeTools {
  /** Peers that are closed after the test. */
  readonly peers: (TcpPeer | UdpPeer)[];
  keep<T extends TcpPeer | UdpPeer>(peer: T): T;
  open(...args: Parameters<typeof pipeOpen>): Promise<Pipe>;
  echo(host?: string): Promise<TcpPeer>;
  udpEcho(host?: string): Promise<UdpPeer>;
}

/** Declares what happens after each test. */
export function pipeTools(): PipeTools {
  const peers: (TcpPeer | UdpPeer)[] = [];
  const pipes: Pipe[] = [];
  const keep = <T extends TcpPeer | UdpPeer>(peer: T): T => {
    peers.push(peer);
    return peer;
  };
  const open = async (...args: Parameters<typeof pipeOpen>) => {
    const pipe = await pipeOpen(...args);
    pipes.push(pipe);
    return pipe;
  };
  afterEach(async () => {
    for (const pipe of pipes.splice(0)) pipe.destroy();
    await Promise.all(peers.splice(0).map((peer) => peer.close()));
    expect(pipeStats().open, 'sockets left open').toBe(0);
  });
  const echo = async (host?: string) => keep(await tcpServer((socket) => socket.pipe(socket), host));
  const udpEcho = async (host?: string) => keep(await udpPeer((data, reply) => reply(data), host));
  return { peers, keep, open, echo, udpEcho };
}
