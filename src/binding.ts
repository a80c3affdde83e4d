/** The only importer of the generated addon loader: nothing native leaves this file untyped. */
export {
  AddressPool,
  checkBind,
  chooseServers,
  listInterfaces as enumerateInterfaces,
  makePool,
  observe,
  planLoad,
  planSweep,
  startResponder,
} from '../index.js';
export type {
  AddressSeen,
  Failure,
  InterfaceFacts as NativeInterface,
  LoadedFamily,
  LoadedInterface,
  PlanFacts,
  ProvenPool as NativePool,
  ResolvedServer,
  Responder as NativeResponder,
  Sweep as NativeSweep,
  ServerTarget,
  SweepOptions as NativeOptions,
  SweepPlan as NativePlan,
  SweepProgress as NativeProgress,
  SweepResult as NativeResult,
} from '../index.js';
