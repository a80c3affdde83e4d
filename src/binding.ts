/** The only importer of the generated addon loader: nothing native leaves this file untyped. */
export { planSweep, startResponder } from '../index.js';
export type {
  Failure,
  PlanFacts,
  ProvenPool as NativePool,
  ResolvedServer,
  Responder as NativeResponder,
  Sweep as NativeSweep,
  SweepOptions as NativeOptions,
  SweepPlan as NativePlan,
  SweepProgress as NativeProgress,
  SweepResult as NativeResult,
} from '../index.js';
