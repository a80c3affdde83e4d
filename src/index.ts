/**
 * routepool: find out which public address each of your source IPs appears as, and prove which of them work.
 *
 * @packageDocumentation
 */
export type { RouteAgentOptions, RouteHttpsAgentOptions } from './http/agents.ts';
export { BoundRoute, type BindOptions } from './routes/bound-route.ts';
export { capabilities, type Capability, type CapabilityName } from './interface/capabilities.ts';
export type { ConnectorOptions, ConnectRequest, Connector } from './http/connectors.ts';
export { Daemon, type DaemonEvents, type ServerGroup } from './daemon/daemon.ts';
export type { ListenFailure } from './daemon/listen.ts';
export type { DaemonOptions, ListenOptions } from './daemon/options.ts';
export type { DaemonServer, ServerCounters } from './daemon/server.ts';
export type { ListenTargets, ListenTarget } from './daemon/listen-targets.ts';
export { ERROR_CODES, type ErrorCodeFacts, type RoutePoolErrorCode } from './errors/error-codes.ts';
export { RoutePoolError } from './errors/errors.ts';
export { IP4, IP6, type Family } from './address/family.ts';
export { Interface } from './interface/interface.ts';
export type { Dialect } from './interface/dict.ts';
export type { RouteData } from './routes/data.ts';
export type { NatData } from './nat/data.ts';
export type { AddressRange } from './address/range.ts';
export {
  listInterfaces,
  type InterfaceAddress,
  type InterfaceFacts,
  type InterfaceGateway,
  type InterfaceKind,
} from './interface/facts.ts';
export type { AddressScope } from './address/range.ts';
export { loadInterfaces, type LoadedInterfaces } from './interface/load-all.ts';
export type { LoadOptions } from './servers/options.ts';
export { describeNat, Nat } from './nat/nat.ts';
export type { NatBehaviour } from './nat/behaviour.ts';
export type { NatExplanation } from './nat/explain.ts';
export { canConnect, type ConnectTechnique, type NatMatch } from './nat/can-connect.ts';
export type { DeltaType, NatType } from './nat/p2pd-types.ts';
export type { LoadNatOptions } from './nat/options.ts';
export type {
  NatAllocation,
  NatConnectivity,
  NatFiltering,
  NatFinding,
  NatHairpin,
  NatLifetime,
  NatMapping,
  NatEvidence,
  NatFamily,
  NatNumbers,
  NatProfile,
  NatReport,
  NatPooling,
  PortAllocation,
  ServerVerdict,
} from './nat/report.ts';
export type { NatViolation } from './nat/requirements.ts';
export type {
  AddressChange,
  BlockChange,
  DefaultChange,
  DefaultRoute,
  ExternalChange,
  InterfaceChange,
  InterfaceRenamed,
  NetworkChange,
  Resumed,
} from './watch/change.ts';
export { NetworkWatch, type WatchCounters, type WatchEvents } from './watch/network-watch.ts';
export type { LookupFunction } from './options/check.ts';
export type { ValidateSample, ValidateOptions, HostPolicy } from './validate/options.ts';
export type { Destination } from './pipe/destination.ts';
export { Endpoint } from './address/endpoint.ts';
export type { Message, MessagePattern, PeerFilter, Sender } from './pipe/messages/message-filter.ts';
export type { Overflow } from './pipe/messages/message-queue.ts';
export type { EndListener } from './pipe/messages/inbox.ts';
export { Pipe, type PipeEvents } from './pipe/pipe.ts';
export type { PipeCounters } from './pipe/pipe-core.ts';
export type { PipeData, PipePeer } from './pipe/pipe-input.ts';
export { pipeOpen, type PipeSource } from './pipe/pipe-open.ts';
export type { PipeOptions } from './pipe/pipe-options.ts';
export { setPipeReader, pipeStats, type PipeStats } from './pipe/sockets/reader-choice.ts';
export type { PipeReader } from './pipe/sockets/socket-table.ts';
export type { ReceiveOptions } from './pipe/messages/receive-options.ts';
export type { PipeStream } from './pipe/stream.ts';
export type { Subscription, SubscriptionOptions } from './pipe/messages/subscription.ts';
export type { RoutePicker, RoutePickerOptions } from './http/pick.ts';
export { TCP, UDP, type Protocol } from './pipe/protocol.ts';
export { Route } from './routes/route.ts';
export type { Certainty, Evidence, Observation, ServerAnswer } from './routes/observation.ts';
export { RoutePool } from './routes/route-pool.ts';
export { chooseStunAddresses, type StunAddressChoice } from './stun-server/choose-addresses.ts';
export {
  StunServer,
  type StunEndpoint,
  type StunIgnoredReason,
  type StunServerCounters,
  type StunServerOptions,
} from './stun-server/stun-server.ts';
export type { ValidationSummary } from './validate/summary.ts';
export { validate } from './validate/validate.ts';
export type { ValidationProgress, ValidationRun } from './validate/run.ts';
export {
  describeVerdict,
  type BadReplyReason,
  type VerdictStatus,
  type UnknownReason,
  type Verdict,
  type VerdictOf,
} from './validate/verdict.ts';
export type { VerdictBatch } from './validate/verdict-batch.ts';
export { watch } from './watch/watch.ts';
export type { WatchExternalOptions, WatchOptions } from './watch/options.ts';
