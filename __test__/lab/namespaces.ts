/** Network namespaces for tests: made by the test, entered with nsenter, gone when their holder is killed. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/** Why namespaces cannot be made here; undefined when they can. */
export function whyNoNamespaces(...tools: string[]): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a feature of Linux';
  for (const tool of ['unshare', 'nsenter', 'ip', ...tools]) {
    if (spawnSync(tool, ['--version']).error) return `the command '${tool}' is not installed`;
  }
  const { status, stderr } = spawnSync('unshare', [...FLAGS, 'true'], { encoding: 'utf8' });
  return status === 0 ? undefined : `the kernel refuses namespaces here: ${stderr.trim()}`;
}

const isRoot = process.getuid?.() === 0;
/** Root needs no user namespace; anybody else is root in one of their own. */
const FLAGS = isRoot ? ['-n'] : ['-U', '-r', '-n'];

/** What a command printed, and how it ended. */
export interface Output {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** A command under way; `ended` gives all that it printed. */
export interface Running {
  ended: Promise<string>;
  /** Kills it, as a crash would. */
  kill: () => void;
}

/** One network namespace. */
export class Namespace {
  readonly #holder: ChildProcess;
  readonly #children: ChildProcess[] = [];
  readonly #user: boolean;

  private constructor(holder: ChildProcess, user: boolean) {
    this.#holder = holder;
    this.#user = user;
  }

  /** A new namespace, within the user namespace of `beside`; with `unprivileged` in a user namespace also for root. */
  static async create({
    beside,
    unprivileged = false,
  }: { beside?: Namespace; unprivileged?: boolean } = {}): Promise<Namespace> {
    const user = beside ? beside.#user : unprivileged || !isRoot;
    const hold = ['sh', '-c', 'echo up; exec sleep 3600'];
    const command =
      beside && user
        ? beside.#enter(['unshare', '-n', ...hold])
        : ['unshare', ...(user ? ['-U', '-r', '-n'] : ['-n']), ...hold];
    const holder = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    const space = new Namespace(holder, user);
    space.run('ip', 'link', 'set', 'lo', 'up');
    return space;
  }

  /** One more namespace within the same user namespace. */
  beside(): Promise<Namespace> {
    return Namespace.create({ beside: this });
  }

  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** Runs a command in the namespace; fails unless it succeeds. */
  run(...command: string[]): string {
    const output = this.try(...command);
    if (output.status !== 0)
      throw new Error(`${command.join(' ')} (${output.status}): ${output.stderr}${output.stdout}`);
    return output.stdout;
  }

  /** Runs a command in the namespace. */
  try(...command: string[]): Output {
    const [program = '', ...args] = this.#enter(command);
    const { status, stdout, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      timeout: 120_000,
    });
    return { status, stdout, stderr };
  }

  /** Loads an nftables script. */
  filter(rules: string): void {
    const [program = '', ...args] = this.#enter(['nft', '-f', '-']);
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', input: withLineEnds(rules) });
    if (status !== 0) throw new Error(`nft: ${stderr}`);
  }

  /** Starts a command in the namespace and waits until it has printed `line`. It is killed with the namespace. */
  async start(command: string[], line: RegExp): Promise<Running> {
    const [program = '', ...args] = this.#enter(command);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.push(child);
    let text = '';
    const ended = once(child, 'close').then(() => text);
    const printed = new Promise<void>((resolve) => {
      const onData = (chunk: Buffer) => {
        text += String(chunk);
        if (line.test(text)) resolve();
      };
      child.stdout.on('data', onData);
      child.stderr.on('data', onData);
    });
    await Promise.race([printed, ended.then(() => Promise.reject(new Error(`${command.join(' ')} ended: ${text}`)))]);
    ended.catch(() => undefined);
    return { ended, kill: () => void child.kill('SIGKILL') };
  }

  /** Starts a command in the namespace with pipes to it. It is killed with the namespace. */
  spawn(command: string[]): ChildProcessWithoutNullStreams {
    const [program = '', ...args] = this.#enter(command);
    const child = spawn(program, args);
    this.#children.push(child);
    return child;
  }

  /** Runs the commands of a text for `ip -batch`. */
  batch(commands: readonly string[], ...flags: string[]): void {
    const [program = '', ...args] = this.#enter(['ip', ...flags, '-batch', '-']);
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', input: `${commands.join('\n')}\n` });
    if (status !== 0) throw new Error(`ip -batch: ${stderr}`);
  }

  /** A pair of interfaces between this namespace and another, both up, with these addresses. */
  connect(name: string, addresses: string[], peer: Namespace, peerName: string, peerAddresses: string[]): void {
    this.run('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', peerName, 'netns', String(peer.pid));
    for (const [space, link, list] of [
      [this, name, addresses],
      [peer, peerName, peerAddresses],
    ] as const) {
      for (const address of list) space.run('ip', 'addr', 'add', address, 'dev', link);
      space.run('ip', 'link', 'set', link, 'up');
    }
  }

  /** Kills all that runs in it; the kernel then takes it away. */
  close(): void {
    for (const child of [...this.#children, this.#holder]) child.kill('SIGKILL');
  }

  #enter(command: string[]): string[] {
    const user = this.#user ? ['-U', '--preserve-credentials'] : [];
    return ['nsenter', '-t', String(this.pid), ...user, '-n', '--', ...command];
  }
}

/**
 * nft wants the end of a line before each brace that closes a table, a chain or a named set, but not before that of
 * `{ 1, 2 }`.
 */
function withLineEnds(rules: string): string {
  const blocks: boolean[] = [];
  return rules.replaceAll(/[{}]/g, (brace, at: number) => {
    if (brace === '{') {
      blocks.push(/(?:^|[{};\n])\s*(?:table|chain|set|map)\s[^{};\n]*$/.test(rules.slice(0, at)));
      return brace;
    }
    return blocks.pop() === true ? '\n}' : brace;
  });
}
