/** Runs `routepool validate` in the network of a row, and judges what it says. */
import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { GatewayLab, OUTSIDE, SERVERS } from './gateway-lab.ts';
import type { Namespace } from './namespaces.ts';
import {
  addressOf,
  blockOf,
  clientRules,
  gatewayRules,
  type SilenceRow,
  type Truth,
  truthOf,
} from './silence-network.ts';
import { RESUME_ROWS, SILENCE_ROWS } from './silence-rows.ts';

export { Namespace, whyNoNamespaces } from './namespaces.ts';
export { RESUME_ROWS, SERVERS, SILENCE_ROWS };

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** The command of this checkout. */
export const COMMAND = file('../../dist/cli/main.js');

/** What is read of a verdict. */
export interface Told {
  readonly ip: string;
  readonly index: number;
  readonly status: string;
  readonly reason?: string;
  readonly external?: string;
  readonly code?: string;
  readonly resumed: boolean;
}

/** What a run in the network of a row came to. */
export interface Judged {
  /** Verdicts that are not so, with what is: "8.8.0.5 works but is no-reply". */
  readonly wrong: string[];
  /** How many are unknown, by reason. */
  readonly unknown: Record<string, number>;
  /** The share of the working that are `ok`, and of the dead that are not unknown. */
  readonly okShare: number;
  readonly deadShare: number;
  readonly seconds: number;
  /** Datagrams sent for each source. */
  readonly probes: number;
  readonly notes: string[];
  readonly verdicts: Told[];
}

/**
 * Which verdicts are right. A working source may be unknown, with a reason; so may a dead one, which may also be
 * refused at times.
 */
const RIGHT: Record<Truth, readonly string[]> = {
  works: ['ok'],
  dead: ['no-reply', 'send-error'],
  mapped: ['mapped'],
  refused: ['send-error'],
};

/** What is wrong with a verdict; undefined if it is right. */
function wrongOf(row: SilenceRow, told: Told): string | undefined {
  const truth = truthOf(row, told.index);
  if (told.ip !== addressOf(row.family, told.index)) return `${told.ip} has the number ${told.index}`;
  if (told.status === 'unknown' && told.reason !== undefined) return undefined;
  const right = RIGHT[truth].includes(told.status) && (truth !== 'mapped' || told.external === OUTSIDE[row.family]);
  if (right) return undefined;
  const verdict = [told.status, told.external, told.code, told.reason].filter(Boolean).join(' ');
  return `${told.ip} ${truth === 'works' ? truth : `is ${truth}`} but is told ${verdict}`;
}

/** A network of a row, with what must run in it. */
export class SilenceLab {
  readonly row: SilenceRow;
  readonly #lab: GatewayLab;
  /** Called with each number of requests that a delaying server tells. */
  #onAsked: () => void = () => undefined;

  private constructor(row: SilenceRow, lab: GatewayLab) {
    this.row = row;
    this.#lab = lab;
  }

  static async create(row: SilenceRow): Promise<SilenceLab> {
    const lab = new SilenceLab(row, await GatewayLab.create(blockOf(row), gatewayRules(row)));
    try {
      await lab.#start();
    } catch (error) {
      lab.close();
      throw error;
    }
    return lab;
  }

  get client(): Namespace {
    return this.#lab.client;
  }

  async #start(): Promise<void> {
    const { row } = this;
    const { client, gateway, server } = this.#lab;
    const own = clientRules(row);
    if (own !== undefined) client.filter(own);
    const [first, second] = SERVERS[row.family];
    if (row.server === 'limited') {
      await server.start([process.execPath, COMMAND, 'stun-server', first], /IPv[46]/);
    } else if (row.server === 'delaying') {
      const [least = 0, most = 0] = row.delayMs ?? [];
      const child = server.spawn([
        process.execPath,
        file('./delaying-server.mjs'),
        first,
        '3478',
        String(least),
        String(most),
        String(2 ** row.bits * (row.stop?.at ?? 1)),
      ]);
      await new Promise<void>((resolve) => {
        child.stdout.on('data', (chunk: Buffer) => (String(chunk).includes('listening') ? resolve() : this.#onAsked()));
      });
    } else {
      await this.#lab.startStunServer(3478, first);
      if (row.servers === 2) await this.#lab.startStunServer(3478, second);
    }
    if (row.outage) {
      // The kernel ends an outage by itself, so it is as long as it should be whatever else runs.
      const { forMs, everyMs } = row.outage;
      gateway.spawn([
        'sh',
        '-c',
        `while nft add element ip lab off '{ 3478 timeout ${forMs}ms }'; do sleep ${everyMs / 1_000}; done`,
      ]);
    }
  }

  /** The arguments of the command for this row. */
  get args(): string[] {
    const { row } = this;
    const servers = SERVERS[row.family].slice(0, row.servers ?? 1);
    return [
      'validate',
      blockOf(row),
      ...servers.flatMap((server) => ['--server', row.family === 6 ? `[${server}]` : server]),
      ...(row.options ?? []),
    ];
  }

  /** Validates the block of the row with this command, and judges it. */
  async run(command: string, ...options: string[]): Promise<Judged> {
    const child = this.#validate(command, '--json', ...options);
    const { stop } = this.row;
    if (stop !== undefined) {
      this.#onAsked = () => {
        this.#onAsked = () => undefined;
        void stopAndGo(child, stop);
      };
    }
    const { code, output, errors } = await ended(child);
    if (code !== 0 && code !== 3)
      throw new Error(`${this.row.name}: the command ended with ${String(code)}: ${errors.trim()}`);
    return judge(this.row, output);
  }

  /** Starts the same, and kills it after a time, unless it has ended by then. Gives what it had told. */
  async runAndKill(command: string, afterMs: number, ...options: string[]): Promise<Told[]> {
    const child = this.#validate(command, '--ndjson', ...options);
    const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
    const { output } = await ended(child);
    clearTimeout(timer);
    // What follows the last end of a line was cut off.
    return output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Told);
  }

  #validate(command: string, ...options: string[]): ChildProcessWithoutNullStreams {
    return this.client.spawn([process.execPath, command, ...this.args, '--quiet', ...options]);
  }

  close(): void {
    this.#lab.close();
  }
}

/** All that a process prints, and how it ends. */
async function ended(
  child: ChildProcessWithoutNullStreams,
): Promise<{ code: unknown; output: string; errors: string }> {
  const chunks: Buffer[] = [];
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => (errors += String(chunk)));
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, output: Buffer.concat(chunks).toString(), errors };
}

/**
 * Stops a process as Ctrl-Z does, and lets it go on, so many times. How long is what a row is about: nothing is waited
 * for.
 */
async function stopAndGo(child: ChildProcess, { forMs, runMs, times }: NonNullable<SilenceRow['stop']>): Promise<void> {
  for (let time = 0; time < times && child.exitCode === null; time++) {
    child.kill('SIGSTOP');
    await sleep(forMs);
    child.kill('SIGCONT');
    await sleep(runMs);
  }
}

/** Judges what the command has printed with --json. */
function judge(row: SilenceRow, text: string): Judged {
  const { verdicts, summary } = JSON.parse(text) as {
    verdicts: Told[];
    summary: { elapsedMs: number; sources: number; traffic: { probesSent: number }; notes: string[] };
  };
  const size = 2 ** row.bits;
  const wrong = verdicts.flatMap((told) => wrongOf(row, told) ?? []);
  if (verdicts.length !== size) wrong.push(`${verdicts.length} verdicts for ${size} sources`);
  const unknown: Record<string, number> = {};
  for (const { status, reason = '' } of verdicts)
    if (status === 'unknown') unknown[reason] = (unknown[reason] ?? 0) + 1;
  const share = (truth: Truth, known: (told: Told) => boolean) => {
    const all = verdicts.filter(({ index }) => truthOf(row, index) === truth);
    return all.length === 0 ? 1 : all.filter(known).length / all.length;
  };
  return {
    wrong,
    unknown,
    okShare: share('works', ({ status }) => status === 'ok'),
    deadShare: share('dead', ({ status }) => status !== 'unknown'),
    seconds: summary.elapsedMs / 1_000,
    probes: summary.traffic.probesSent / size,
    notes: summary.notes,
    verdicts,
  };
}

/** Makes the network of a row, validates once, and takes it away. */
export async function runRow(row: SilenceRow, command: string = COMMAND): Promise<Judged> {
  const lab = await SilenceLab.create(row);
  try {
    return await lab.run(command);
  } finally {
    lab.close();
  }
}
