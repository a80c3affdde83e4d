// Our STUN server with two addresses, for a namespace: listens until it is killed. usage: node pair-server.mjs ADDRESS
// ADDRESS
import { StunServer } from '../../dist/index.js';

const address = process.argv.slice(2);
StunServer.listen({ address, port: 3478, otherPort: 3479, tcp: true, rfc3489: !address[0].includes(':') });
console.log(`listening at ${address.join(' and ')}`);
