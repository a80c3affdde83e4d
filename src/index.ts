/**
 * routepool: which of this machine's IPs really leave as themselves.
 *
 * @packageDocumentation
 */
export { RoutePoolError, type RoutePoolErrorCode } from './errors.ts';
export type { LookupFunction, Sample, ValidateOptions, HostPolicy } from './options.ts';
export type { ProvenPool } from './proven-pool.ts';
export { StunServer, type StunServerCounters, type StunServerOptions } from './stun-server.ts';
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
