/**
 * For testing programs that use the network: a NAT and a STUN server that exist only in this process, on loopback
 * addresses. Import from `routepool/testing`.
 *
 * @packageDocumentation
 */
export type { PathOptions } from './path.ts';
export { SimulatedNat, type SimulatedNatCounters, type SimulatedNatOptions } from './simulated-nat.ts';
export { StunServer, type ScriptedRequest, type ServerFault, type StunServerOptions } from './stun-server.ts';
