/** The result of a run in words. */
import type { ValidationSummary } from '../../validate/summary.ts';
import type { Findings } from './findings.ts';
import { count } from './progress-bar.ts';
import { duration } from '../../duration.ts';
import type { Style } from './style.ts';

/**
 * What a person wants to know: what was proven, what was not, why, and, unless `quiet`, what that means and what to do.
 */
export function report(summary: ValidationSummary, findings: Findings, style: Style, quiet: boolean): string {
  const lines = [claim(summary, style)];
  for (const group of findings.groups()) {
    const paint = group.status === 'unknown' ? style.doubtful.bind(style) : style.bad.bind(style);
    lines.push(
      `  ${paint(`${count(group.count)} ${group.status}`)}: ${group.text.replace(/^(bad reply|unknown): /, '')}`,
    );
    const more = group.more > 0 ? `, and ${count(group.more)} more` : '';
    lines.push(`    ${style.dim(`${group.examples.join(', ')}${more}`)}`);
  }
  if (summary.untested > 0) {
    lines.push(`  ${style.doubtful(`stopped: ${count(summary.untested)} without a verdict`)}`);
  }
  lines.push(`  ${style.dim(how(summary))}`);
  for (const sentence of quiet ? [] : meaning(summary)) lines.push(`  ${sentence}`);
  return `${lines.join('\n')}\n`;
}

function claim(summary: ValidationSummary, style: Style): string {
  const { counts, sources, elapsedMs, blocks, sample } = summary;
  const rate = Math.round((sources - summary.untested) / (elapsedMs / 1_000));
  const speed = summary.resumed || elapsedMs === 0 ? '' : ` (${count(rate)} a second)`;
  const what = sample ? 'sampled sources' : 'sources';
  const text = `${count(counts.ok)} of ${count(sources)} ${what} of ${blocks.join(', ')} proven in ${duration(elapsedMs)}${speed}`;
  if (summary.allOk) return style.good(`✔ ${text}`);
  return counts.ok > 0 ? style.doubtful(`● ${text}`) : style.bad(`✘ ${text}`);
}

function how(summary: ValidationSummary): string {
  const servers = summary.servers.map(({ name, address, port }) => {
    const endpoint = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    return name === endpoint || name === address || name === 'embedded' ? endpoint : `${name} (${endpoint})`;
  });
  const whom = summary.serverOrigin === 'embedded' ? 'the STUN server inside this process' : servers.join(', ');
  const parts = [`asked ${whom}`, `seed ${summary.seed}`];
  if (summary.rttMs.median > 0)
    parts.push(`round trip ${duration(summary.rttMs.median)} median, ${duration(summary.rttMs.p99)} p99`);
  if (summary.traffic.loss > 0.001) parts.push(`${(summary.traffic.loss * 100).toFixed(1)} % lost`);
  return parts.join('; ');
}

function meaning(summary: ValidationSummary): string[] {
  const sentences: string[] = [];
  if (summary.sample) {
    const { addresses, share } = summary.sample;
    const total = addresses > 10n ** 12n ? Number(addresses).toExponential(1) : count(Number(addresses));
    sentences.push(
      `Sampled: ${count(summary.sources)} of ${total} addresses were asked (${(share * 100).toPrecision(2)} %). This is not a validation of the whole block.`,
    );
  }
  if (summary.portRewritten > 0) {
    sentences.push(
      `${count(summary.portRewritten)} proven sources leave with another port than the one sent from: something on the way translates ports.`,
    );
  }
  return [...sentences, ...summary.notes];
}
