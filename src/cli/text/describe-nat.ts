/** A NAT in words, for the command line. */
import type { Nat } from '../../nat/nat.ts';
import type { NatEvidence, NatFamily } from '../../nat/report.ts';
import { roughDuration } from '../../duration.ts';
import type { Style } from './style.ts';

/** Each family of it, with the answers to what people ask. */
export function describeNat(name: string, nat: Nat, style: Style): string {
  return nat.families.map((found) => describeFamily(name, nat, found, style)).join('\n');
}

function describeFamily(name: string, nat: Nat, found: NatFamily, style: Style): string {
  const { headline, answers, notes } = nat.explanation(found.family);
  const ok = found.connectivity.value === 'ok';
  const mark =
    found.connectivity.value === 'no-server'
      ? style.dim('-')
      : !ok && found.numbers.assumed
        ? style.bad('✘')
        : found.numbers.assumed
          ? style.doubtful('?')
          : style.good('✔');
  const lines = [`${name}  ${style.dim(`IPv${found.family}, asked from ${found.local}`)}`, `  ${mark} ${headline}`];
  if (ok) lines.push(`    ${style.dim(axes(found))}`);
  const wide = Math.max(0, ...answers.map(({ question }) => question.length));
  for (const { question, answer } of answers) lines.push(`  ${question.padEnd(wide)}  ${answer}`);
  for (const note of notes) lines.push(`  ${style.dim('-')} ${note}`);
  return `${lines.join('\n')}\n`;
}

function axes({ mapping, filtering, allocation, tcpMapping, hairpin, numbers }: NatFamily): string {
  const parts = [`mapping ${mapping.value}`, `filtering ${filtering.value}`, `ports ${allocation.value}`];
  if (tcpMapping.value !== 'not-asked') parts.push(`TCP mapping ${tcpMapping.value}`);
  if (hairpin.value !== 'not-asked') parts.push(`hairpin ${hairpin.value}`);
  return `${parts.join('; ')}; P2PD type ${numbers.type}, delta ${numbers.deltaType}`;
}

/** How it was done: servers, time, loss. */
export function describeRun(nat: Nat, style: Style): string {
  const servers = new Map(
    nat.families.flatMap((found) => found.servers.map((server) => [server.server, server] as const)),
  );
  const asked = [...servers.values()].map(({ server, name }) =>
    name === server || server.startsWith(`${name}:`) || server.startsWith(`[${name}]:`)
      ? server
      : `${name} (${server})`,
  );
  const sent = nat.families.reduce((sum, { loss }) => sum + loss.sent, 0);
  const answered = nat.families.reduce((sum, { loss }) => sum + loss.answered, 0);
  const parts = [`asked ${asked.length > 0 ? asked.join(', ') : 'nobody'} in ${roughDuration(nat.elapsedMs ?? 0)}`];
  if (answered > 0 && answered < sent)
    parts.push(`${((1 - answered / sent) * 100).toFixed(1)} % of the plain requests lost`);
  const refusing = [...servers.values()].filter(
    ({ answered: has, cannotTest }) => !has && cannotTest?.startsWith('it refuses'),
  );
  const limits = [...servers.values()].filter(
    ({ answered: has, canTest, cannotTest }) => has && !canTest && cannotTest !== undefined,
  );
  const lines = [
    parts.join('; '),
    ...refusing.map(({ server, cannotTest }) => `${server} did not count: ${cannotTest}`),
    ...limits.map(({ name, cannotTest }) => `${name} cannot test the filter: ${cannotTest}`),
  ];
  return `${lines.map((line) => style.dim(line)).join('\n')}\n`;
}

/** Each sub-test on a line. */
export function evidenceTable(evidence: readonly NatEvidence[]): string {
  const head = ['family', 'test', 'local', 'server', 'answered from', 'mapped', 'sent', 'ms'];
  const rows = evidence.map((test) => {
    const outcome =
      test.errorCode === undefined
        ? test.errno === undefined
          ? test.silent
            ? 'silence'
            : '-'
          : `errno ${test.errno}`
        : `error ${test.errorCode}`;
    const took =
      test.sentAt === undefined || test.receivedAt === undefined ? '-' : (test.receivedAt - test.sentAt).toFixed(1);
    return [
      `IPv${test.family}`,
      test.test,
      test.local,
      test.server,
      test.from ?? outcome,
      test.mapped ?? '-',
      `${test.answers}/${test.attempts}`,
      took,
    ];
  });
  const table = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  return `${table
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}
