/** The only door to the addon: nothing native leaves this file untyped. */
import type * as Native from '../../index.js';
import { loadBinding } from './loader/load-binding.ts';

const take = loadBinding<typeof Native>();

export type AddressPool = Native.AddressPool;
export const AddressPool: typeof Native.AddressPool = take('AddressPool');
export const behaviourOfType: typeof Native.behaviourOfType = take('behaviourOfType');
export type Cancel = Native.Cancel;
export const Cancel: typeof Native.Cancel = take('Cancel');
export const canConnect: typeof Native.canConnect = take('canConnect');
export const checkBind: typeof Native.checkBind = take('checkBind');
export const chooseServers: typeof Native.chooseServers = take('chooseServers');
export const classifyNat: typeof Native.classifyNat = take('classifyNat');
export const interfaceNames: typeof Native.interfaceNames = take('interfaceNames');
export const listCapabilities: typeof Native.listCapabilities = take('listCapabilities');
export type ConnectAttempts = Native.ConnectAttempts;
export const ConnectAttempts: typeof Native.ConnectAttempts = take('ConnectAttempts');
export const enumerateInterfaces: typeof Native.listInterfaces = take('listInterfaces');
export const makePool: typeof Native.makePool = take('makePool');
export const natNumbers: typeof Native.natNumbers = take('natNumbers');
export const observe: typeof Native.observe = take('observe');
export const optionBounds: typeof Native.optionBounds = take('optionBounds');
export const openSockets: typeof Native.openSockets = take('openSockets');
export const planListeners: typeof Native.planListeners = take('planListeners');
export const planLoad: typeof Native.planLoad = take('planLoad');
export const planSweep: typeof Native.planSweep = take('planSweep');
export const simulateNat: typeof Native.simulateNat = take('simulateNat');
export type StunRules = Native.StunRules;
export const StunRules: typeof Native.StunRules = take('StunRules');
export const socketClose: typeof Native.socketClose = take('socketClose');
export const socketDrain: typeof Native.socketDrain = take('socketDrain');
export const socketOpen: typeof Native.socketOpen = take('socketOpen');
export const socketSend: typeof Native.socketSend = take('socketSend');
export const socketSendTo: typeof Native.socketSendTo = take('socketSendTo');
export const socketWatch: typeof Native.socketWatch = take('socketWatch');
export const startStunServer: typeof Native.startStunServer = take('startStunServer');
export const stunIgnoredReasons: typeof Native.stunIgnoredReasons = take('stunIgnoredReasons');
export const startWatch: typeof Native.startWatch = take('startWatch');
export type {
  AddressSeen,
  ChangeFacts as NativeChange,
  Failure,
  InterfaceFacts as NativeInterface,
  InterfaceLoad as NativeLoad,
  InterfaceWatch as NativeWatch,
  LoadedFamily,
  LoadedInterface,
  NatBehaviour,
  NatFamily,
  NatReport,
  NatRules,
  PlanFacts,
  ProvenPool as NativePool,
  ResolvedServer,
  StunServer as NativeStunServer,
  Sockets as NativeSockets,
  Sweep as NativeSweep,
  ServerTarget,
  StunServerConfig as NativeStunConfig,
  SweepOptions as NativeOptions,
  SweepPlan as NativePlan,
  SweepSummary as NativeSummary,
  UnboundSocket,
} from '../../index.js';
