// A process with a daemon that must end by itself, or must not: see daemon/connections.spec.ts.
import { once } from 'node:events';
import { connect } from 'node:net';
import { Daemon, TCP } from '../../dist/index.js';

const [, , how] = process.argv;
const daemon = new Daemon();
daemon.addMessageListener((data, _from, pipe) => void pipe.send(data).then(() => pipe.close()));
const errors = new Set();
daemon.on('error', (error) => errors.add(`${error.code} ${error.syscall}`));
const { port } = await daemon.listen(TCP, 0, '127.0.0.1');
console.log('listening');

if (how === 'descriptors') {
  // Clients are another process: these here are all for the connections that come.
  console.log(port);
  process.stdin.resume();
  await once(process.stdin, 'end');
  console.log([...errors].join());
  await daemon.close();
} else {
  const socket = connect(port, '127.0.0.1');
  socket.write('x');
  for await (const chunk of socket) if (String(chunk) === 'x') console.log('answered');
  if (how === 'closed') await daemon.close();
  else daemon.unref();
}
