// A STUN server for a namespace: listens until it is killed. usage: node stun-server.mjs ADDRESS PORT
import { StunServer } from 'routepool';

const [address, port] = process.argv.slice(2);
const server = StunServer.listen({ address, port: Number(port) });
console.log(`listening at ${server.address} port ${server.port}`);
