// A daemon over TCP and UDP that answers with the address that was asked. Arguments: port, then where to listen.
import { Daemon, TCP, UDP } from '../../dist/index.js';

const [, , port, ...where] = process.argv;
const daemon = new Daemon();
daemon.addMessageListener((_data, _from, pipe) => void pipe.send(`${pipe.localAddress}\n`).then(() => pipe.close()));
for (const protocol of [TCP, UDP]) await daemon.listen(protocol, Number(port), where);
console.log('listening', daemon.servers.join(' '));
