/** Compiled, never run: the public types say what is promised. */
import {
  RoutePoolError,
  StunServer,
  validate,
  type RoutePool,
  type ValidationSummary,
  type Verdict,
  type VerdictOf,
} from '../../src/index.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

export async function promises(verdict: Verdict, error: unknown): Promise<void> {
  const run = validate(['10.0.0.0/24'], { ratePerSecond: 5, sample: { perPrefix: 64 }, seed: 1n });
  for await (const each of run) same<typeof each, Verdict>(true);
  for await (const batch of run.batches()) same<ReturnType<typeof batch.at>, Verdict | undefined>(true);
  same<Awaited<ReturnType<typeof run.summary>>, ValidationSummary>(true);
  same<Awaited<ReturnType<typeof run.pool>>, RoutePool>(true);
  run.on('progress', ({ etaMs }) => same<typeof etaMs, number | undefined>(true));

  // A verdict has the facts of its status, and only those.
  if (verdict.status === 'mapped') same<typeof verdict.external, string>(true);
  if (verdict.status === 'send-error') same<typeof verdict.errno, number>(true);
  if (verdict.status === 'unknown')
    same<typeof verdict.reason, 'loss' | 'nat-ports' | 'network-lost' | 'servers-disagree'>(true);
  if (verdict.status === 'ok') same<ReturnType<typeof verdict.toJSON>['external'], string>(true);
  // @ts-expect-error a silent source has no external address
  if (verdict.status === 'no-reply') void verdict.external;
  same<VerdictOf<'no-reply'>['status'], 'no-reply'>(true);

  // Codes are literals.
  if (error instanceof RoutePoolError && error.code === 'ERR_ROUTEPOOL_NOT_LOCAL') void error.option;
  // @ts-expect-error no such code
  if (error instanceof RoutePoolError && error.code === 'ERR_OTHER') void error;
  // @ts-expect-error no such option
  validate('10.0.0.0/24', { rate: 5 });
  // @ts-expect-error no such policy
  validate('10.0.0.0/24', { hosts: 'some' });
  await StunServer.listen({ port: 0 }).close();
}
