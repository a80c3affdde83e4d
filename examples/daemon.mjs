// A daemon at a whole block, over TCP and UDP: each address answers for itself.
// Run: node examples/daemon.mjs
import { Daemon, pipeOpen, TCP, UDP, validate } from 'routepool';

const pool = await validate('127.21.0.0/24').pool();
const daemon = new Daemon({ maxConnections: 1000 });
daemon.addMessageListener(
  (data, from, pipe) => void pipe.send(`${pipe.localAddress} was asked '${data}' by ${from.address}`),
);

for (const protocol of [TCP, UDP]) {
  const { servers, port } = await daemon.listen(protocol, 0, pool);
  console.log(`${protocol}: ${pool.length} addresses with ${servers.length} socket, port ${port}`);
  for (const k of [7, 200]) {
    const pipe = await pipeOpen(protocol, [pool.at(k).ext(), port], pool.at(-1));
    await pipe.send('who?');
    console.log(' ', String(await pipe.recv({ timeoutMs: 3000 })));
    await pipe.close();
  }
}
await daemon.close();
