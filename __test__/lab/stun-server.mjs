// A STUN server for a namespace: listens until it is killed. usage: node stun-server.mjs ADDRESS PORT
import { StunServer } from 'routepool';

const [address, port] = process.argv.slice(2);
// Without a limit: whole blocks ask it, also through a NAT that gives them one address.
const server = StunServer.listen({ address, port: Number(port), ratePerPrefix: 0 });
console.log(`listening at ${server.address} port ${server.port}`);
