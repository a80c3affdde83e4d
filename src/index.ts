/**
 * routepool: which external IP each of this machine's IPs leaves as, and which of them really work.
 *
 * @packageDocumentation
 */
export type { RouteAgentOptions, RouteHttpsAgentOptions } from './agents.ts';
export { BoundRoute, type BindOptions } from './bound-route.ts';
export { capabilities, type Capability, type CapabilityName } from './capabilities.ts';
export type { ConnectorOptions, ConnectRequest, Connector } from './connectors.ts';
export { Daemon, type DaemonEvents, type ServerGroup } from './daemon/daemon.ts';
export type { ListenFailure } from './daemon/listen.ts';
export type { DaemonOptions, ListenOptions } from './daemon/options.ts';
export type { DaemonServer, ServerCounters } from './daemon/server.ts';
export type { Where, WhereItem } from './daemon/where.ts';
export { ERROR_CODES, type ErrorCodeFacts, type RoutePoolErrorCode } from './error-codes.ts';
export { RoutePoolError } from './errors.ts';
export { IP4, IP6, type Family } from './families.ts';
export { Interface } from './interface.ts';
export type { AddressRange, Dialect, NatData, RouteData } from './interface-dict.ts';
export {
  listInterfaces,
  type InterfaceAddress,
  type InterfaceFacts,
  type InterfaceGateway,
  type InterfaceKind,
  type Scope,
} from './interface-facts.ts';
export { loadInterfaces, type LoadedInterfaces } from './load-interfaces.ts';
export type { LoadOptions } from './load-options.ts';
export { describeNat, Nat } from './nat.ts';
export type { NatBehaviour } from './nat-behaviour.ts';
export type { NatExplanation } from './nat-explain.ts';
export { canConnect, type ConnectTechnique, type NatMatch } from './nat-match.ts';
export type { DeltaType, NatType } from './nat-names.ts';
export type { LoadNatOptions } from './nat-options.ts';
export type {
  Allocation,
  Connectivity,
  Filtering,
  Finding,
  Hairpin,
  Lifetime,
  Mapping,
  NatEvidence,
  NatFamily,
  NatNumbers,
  NatProfile,
  NatReport,
  Pooling,
  PortAllocation,
  ServerVerdict,
} from './nat-report.ts';
export type { NatBreach } from './nat-requirements.ts';
export type {
  AddressChange,
  BlockChange,
  DefaultChange,
  DefaultWay,
  ExternalChange,
  InterfaceChange,
  InterfaceRenamed,
  NetworkChange,
  Woken,
} from './network-change.ts';
export { NetworkWatch, type WatchCounters, type WatchEvents } from './network-watch.ts';
export type { LookupFunction, Sample, ValidateOptions, HostPolicy } from './options.ts';
export type { Destination } from './pipe/destination.ts';
export { Endpoint } from './pipe/endpoint.ts';
export type { Message, MessagePattern, PeerFilter, Sender } from './pipe/message-filter.ts';
export type { Overflow } from './pipe/message-queue.ts';
export type { EndListener } from './pipe/inbox.ts';
export { Pipe, type PipeEvents } from './pipe/pipe.ts';
export type { PipeCounters } from './pipe/pipe-core.ts';
export type { Data, Peer } from './pipe/pipe-input.ts';
export { pipeOpen, type Leaving } from './pipe/pipe-open.ts';
export type { PipeOptions } from './pipe/pipe-options.ts';
export { setReader, stats, type Stats } from './pipe/reader-choice.ts';
export type { Reader } from './pipe/sockets.ts';
export type { ReceiveOptions } from './pipe/receive-options.ts';
export type { PipeStream } from './pipe/stream.ts';
export type { Subscription, SubscriptionOptions } from './pipe/subscription.ts';
export type { Pick, PickOptions } from './pick.ts';
export { TCP, UDP, type Protocol } from './pipe/protocol.ts';
export { Route, type Certainty, type Evidence, type Observation, type ServerAnswer } from './route.ts';
export { RoutePool } from './route-pool.ts';
export { chooseStunAddresses, type StunAddressChoice } from './stun-addresses.ts';
export { StunServer, type StunEndpoint, type StunIgnoredReason, type StunServerCounters, type StunServerOptions } from './stun-server.ts';
export type { ValidationSummary } from './summary.ts';
export { validate } from './validate.ts';
export type { ValidationProgress, ValidationRun } from './validation-run.ts';
export {
  describe,
  type BadReplyReason,
  type Status,
  type UnknownReason,
  type Verdict,
  type VerdictOf,
} from './verdict.ts';
export type { VerdictBatch } from './verdict-batch.ts';
export { watch } from './watch.ts';
export type { WatchExternalOptions, WatchOptions } from './watch-options.ts';
