// Asks addresses over TCP and UDP with sockets that take no answer from anybody else. Arguments: port, then the
// addresses.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';

const [, , port, ...addresses] = process.argv;
for (const address of addresses) {
  const socket = connect(Number(port), address);
  socket.write('who?');
  let text = '';
  for await (const chunk of socket) text += chunk;
  const datagrams = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  datagrams.connect(Number(port), address);
  await once(datagrams, 'connect');
  datagrams.send('who?');
  const [reply] = await once(datagrams, 'message', { signal: AbortSignal.timeout(5000) });
  datagrams.close();
  console.log(text.trim(), String(reply).trim());
}
