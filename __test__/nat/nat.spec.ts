/** Nat, its dict, its words, what two of them let through, and the command. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { canConnect, describeNat, Interface, Nat, type LoadNatOptions } from '../../src/index.ts';
import { SimulatedNat, StunServer } from '../../src/testing/index.ts';
import { DOCUMENTED } from '../helpers/interface-data.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const cli = (...args: string[]) =>
  spawnSync(process.execPath, [main, 'nat', ...args], { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const made of open.splice(0)) await made[Symbol.asyncDispose]();
});
const simulate = async (options: Parameters<typeof SimulatedNat.listen>[0] = {}) => {
  const nat = await SimulatedNat.listen(options);
  open.push(nat);
  return nat;
};
const look = (nat: SimulatedNat, options: LoadNatOptions = {}) =>
  Interface.find('lo').loadNat({ from: nat.host(1), servers: nat.servers, ...options });

/** Whether a STUN request has RESPONSE-PORT (RFC 5780, section 7.5) as its first attribute. */
const asksForAPort = (bytes: Uint8Array) => bytes.length > 20 && bytes[20] === 0x00 && bytes[21] === 0x27;

describe('Nat', () => {
  it("is P2PD's default until somebody looks", () => {
    const { nat } = Interface.find('lo');
    expect([nat.type, nat.natInfo, nat.delta, nat.deltaInfo]).toEqual([
      5,
      'restrict port',
      { type: 6, value: 0 },
      'random delta (local port == rand port)',
    ]);
    expect([nat.assumed, nat.measured, nat.families, nat.evidence, nat.at]).toEqual([true, false, [], [], undefined]);
    expect(nat.explain()).toMatch(/was not looked at/);
    expect(JSON.parse(JSON.stringify(nat))).toEqual(DOCUMENTED.nat);
  });

  it('is set by loadNat, in the interface and in its dict, with the evidence beside', async () => {
    const simulated = await simulate({ mapping: 'address-and-port-dependent', allocation: 'independent', step: 4 });
    const nic = Interface.find('lo');
    const nat = await nic.loadNat({ from: simulated.host(1), servers: simulated.servers });
    expect(nic.nat).toBe(nat);
    expect([nat.type, nat.delta, nat.rfc3489, nat.assumed, nat.measured]).toEqual([
      6,
      { type: 4, value: 4 },
      'symmetric',
      false,
      true,
    ]);
    expect(nic.toDict()).toMatchObject({ nat: { type: 6, nat_info: 'symetric', delta: { type: 4, value: 4 } } });
    expect(nat.evidence.length).toBeGreaterThan(8);
    for (const { family, local, server, attempts } of nat.evidence) {
      expect([family, local.split(':')[0], server.startsWith('127.'), attempts > 0]).toEqual([
        4,
        simulated.host(1),
        true,
        true,
      ]);
    }
    const restored = Interface.fromDict(JSON.parse(JSON.stringify(nic)));
    expect([restored.nat.toDict(), restored.nat.measured]).toEqual([nat.toDict(), false]);
    const detail = JSON.parse(JSON.stringify(nic.toJSON({ detail: true }))) as {
      nat: { version: number; report: { families: object[] } };
    };
    expect([detail.nat.version, detail.nat.report.families.length]).toEqual([1, 1]);
    const whole = Nat.fromDict(detail);
    expect([whole.mapping, whole.filtering, whole.allocation, whole.assumed]).toEqual([
      'address-and-port-dependent',
      'address-and-port-dependent',
      'independent',
      false,
    ]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7] as const)('says of type %i in plain words what it means', (type) => {
    const text = describeNat({ type, delta: { type: 6, value: 0 } });
    expect(text).toMatch(
      [
        /^No NAT and no filter/,
        /^No NAT, but a firewall/,
        /^A full cone/,
        /^An address-restricted/,
        /^A port-restricted/,
        /^A symmetric/,
        /^UDP is blocked/,
      ][type - 1]!,
    );
    for (const question of ['Can others reach me?', 'Can two peers connect directly?', 'Will a port mapping survive?'])
      expect(text).toContain(question);
    expect(text).not.toMatch(/undefined|null|NaN|\[object/);
  });

  it('names the requirements of RFC 4787 that are not met', async () => {
    const nat = await look(await simulate({ mapping: 'address-dependent', pooling: 'arbitrary', externals: 3 }), {
      hairpin: true,
    });
    expect(nat.violations.map(({ requirement }) => requirement)).toEqual(expect.arrayContaining(['REQ-1', 'REQ-8']));
    expect(nat.explain()).toMatch(/It breaks RFC 4787, REQ-1: a NAT must use the same mapping/);
    expect((await look(await simulate({ mapping: 'none' }))).violations).toEqual([]);
  });

  it('describes the dict of an interface as well, and refuses what is none', () => {
    expect(describeNat({ ...DOCUMENTED, nat: { ...DOCUMENTED.nat, type: 3 } })).toMatch(/^A full cone/);
    expect(describeNat(Interface.find('lo'))).toMatch(/not looked at/);
    for (const [dict, message] of [
      [null, /a Nat or a dict like \{ type, delta \} but received null/],
      [{}, /expected an object like \{ type, delta \} as the dict but received \{\}/],
      [{ type: 8 }, /expected an integer from 1 to 7 at type but received 8/],
      [{ nat: { type: '5' } }, /at nat\.type but received '5'/],
      [{ type: 5, behaviour: { 4: { mapping: 'cone' } } }, /at behaviour\.4\.mapping but received 'cone'/],
      [{ type: 5, behaviour: { 4: { mapping: 'none', blocked: 1 } } }, /true or false at behaviour\.4\.blocked/],
    ] as const) {
      expect(() => describeNat(dict)).toThrow(message);
    }
  });

  it('without any server that answers is unknown everywhere, with the default type and the reason', async () => {
    const nat = await look(await simulate({ faults: ['dead'] }), { profile: 'fast' });
    const [family] = nat.families;
    expect([nat.type, nat.assumed, nat.mapping, nat.filtering, nat.allocation]).toEqual([
      5,
      true,
      'unknown',
      'unknown',
      'unknown',
    ]);
    expect([family?.connectivity.value, family?.mapping.reason]).toEqual([
      expect.stringMatching(/no-reply|udp-blocked/),
      expect.any(String),
    ]);
  });

  it('tells names that do not resolve from servers that are silent', async () => {
    const lookup: NonNullable<LoadNatOptions['lookup']> = (_name, _options, callback) =>
      callback(Object.assign(new Error('queryA ESERVFAIL'), { code: 'ESERVFAIL' }), []);
    const nat = await Interface.find('lo').loadNat({ servers: 'stun.example.test', lookup });
    expect([nat.families[0]?.connectivity.value, nat.type]).toEqual(['dns-failed', 5]);
    expect(nat.explain()).toMatch(/names of the servers do not resolve/);
  });

  it('can be aborted, and what was known stays', async () => {
    const simulated = await simulate({ faults: ['dead'] });
    const nic = Interface.find('lo');
    const before = nic.nat;
    const ended = new AbortController();
    const looking = nic.loadNat({
      from: simulated.host(1),
      servers: simulated.servers,
      profile: 'patient',
      signal: ended.signal,
    });
    ended.abort(new Error('enough'));
    await expect(looking).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    expect(nic.nat).toBe(before);
  });

  it('can be ended early, with what was found until then', async () => {
    const ended = new AbortController();
    // The first answer to a mapping of some age: all else is known by then, and the lifetime is not.
    const server = await StunServer.listen({ script: ({ bytes }) => void (asksForAPort(bytes) && ended.abort()) });
    open.push(server);
    const nat = await Interface.find('lo').loadNat({
      servers: server.url,
      from: '127.0.0.1',
      lifetime: true,
      stop: ended.signal,
    });
    const [family] = nat.families;
    expect([nat.mapping, nat.filtering, nat.assumed, family?.lifetime.value]).toEqual([
      'none',
      'endpoint-independent',
      false,
      expect.stringMatching(/unknown|at-least/),
    ]);
    expect(nat.evidence.some(({ test }) => test === 'mapping-4')).toBe(true);

    const silent = await StunServer.listen({ fault: 'dead', script: () => void early.abort() });
    open.push(silent);
    const early = new AbortController();
    const nothing = await Interface.find('lo').loadNat({
      servers: silent.url,
      from: '127.0.0.1',
      profile: 'patient',
      stop: early.signal,
    });
    expect([nothing.families[0]?.connectivity.value, nothing.families[0]?.mapping]).toEqual([
      'stopped',
      expect.objectContaining({ value: 'unknown', reason: 'stopped' }),
    ]);
    expect(nothing.families[0]?.tcpMapping.value).toBe('unknown');

    const before = Interface.find('lo').loadNat({
      servers: 'stun.example.test',
      lookup: () => undefined,
      stop: AbortSignal.abort(),
    });
    await expect(before).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('tells a port that refuses from a server that is silent', async () => {
    const closed = await StunServer.listen();
    await closed.close();
    const nat = await Interface.find('lo').loadNat({ servers: closed.url, from: '127.0.0.1', tcp: false });
    expect([nat.families[0]?.connectivity, nat.type, nat.assumed]).toEqual([
      expect.objectContaining({ value: 'no-reply', reason: 'server-refused' }),
      5,
      true,
    ]);
    expect(nat.explain()).toMatch(
      /^The servers refuse to answer.*\nEvery server that was asked refuses: nothing listens/s,
    );
    const server = await StunServer.listen();
    open.push(server);
    const other = await Interface.find('lo').loadNat({
      servers: [closed.url, server.url],
      from: '127.0.0.1',
      tcp: false,
    });
    expect([other.type, other.families[0]?.servers.map(({ answered }) => answered)]).toEqual([1, [false, true]]);
    expect(other.families[0]?.servers[0]?.cannotTest).toMatch(/^it refuses: nothing listens/);
  });

  it.each<[object, RegExp]>([
    [{ stop: 'now' }, /an AbortSignal for `stop` but received 'now'/],
    [{ profile: 'quick' }, /'fast' or 'normal' or 'patient' for `profile` but received 'quick'/],
    [{ stunServers: 'x' }, /unknown option `stunServers`; did you mean `servers`\?/],
    [{ from: '127.0.0' }, /an IP address, or one for each family, for `from` but received '127.0.0'/],
    [{ from: ['127.0.0.1', '127.0.0.2'] }, /one for each family/],
    [{ portal: 'https://x.example/' }, /for `portal`/],
    [{ servers: 'http://x' }, /http/],
    [{ lifetimeMaxMs: 10 }, /from 1000 to 3600000 for `lifetimeMaxMs`/],
    [{ hairpin: 'yes' }, /true or false for `hairpin`/],
  ])('refuses %j before anything is sent', async (options, message) => {
    await expect(Interface.find('lo').loadNat(options)).rejects.toThrow(message);
  });

  it('refuses an address that this machine does not hold, and an interface that is a dict only', async () => {
    await expect(Interface.find('lo').loadNat({ from: '203.0.113.77', servers: '127.0.0.1:9' })).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_NOT_LOCAL',
    });
    await expect(Interface.fromDict(DOCUMENTED).loadNat()).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_MISUSE',
      message: expect.stringMatching(/Interface\.load/) as string,
    });
  });
});

describe('canConnect', () => {
  const types = (...list: number[]) => list.map((type) => ({ type, delta: { type: 6, value: 0 } }));

  it('takes Nats, interfaces and dicts', () => {
    const [fullCone, symmetric] = types(3, 6) as [object, object];
    expect(canConnect(Nat.fromDict(fullCone), symmetric)).toMatchObject({ verdict: 'direct', family: 4 });
    expect(canConnect(Interface.fromDict(DOCUMENTED), Interface.find('lo').nat).verdict).toBe('punch');
    expect(canConnect(symmetric, types(7)[0]!)).toMatchObject({ verdict: 'relay' });
    expect(() => canConnect(symmetric, {})).toThrow(/an object like \{ type, delta \}/);
  });

  it('takes the better one of the families that both have', () => {
    const behaviour = {
      4: { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent', allocation: 'random' },
      6: { mapping: 'none', filtering: 'endpoint-independent' },
    };
    const both = { type: 6, behaviour };
    expect(canConnect(both, both)).toMatchObject({ verdict: 'direct', family: 6 });
    expect(canConnect(both, { type: 6, behaviour: { 4: behaviour[4] } })).toMatchObject({
      verdict: 'relay',
      family: 4,
    });
    expect(
      canConnect({ type: 1, behaviour: { 6: behaviour[6] } }, { type: 6, behaviour: { 4: behaviour[4] } }),
    ).toMatchObject({ verdict: 'relay', family: undefined });
  });
});

describe('routepool nat', () => {
  it('says in words what it is, and what it means', async () => {
    const simulated = await simulate();
    const run = async (...args: string[]) => {
      // The NAT lives in this process: it must be free to answer.
      const child = spawn(process.execPath, [main, 'nat', ...args], { env: { ...process.env, NO_COLOR: '1' } });
      const [stdout, stderr, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        new Promise<[number]>((resolve) => child.on('close', (status: number) => resolve([status]))),
      ]);
      return { stdout, stderr, code };
    };
    const server = simulated.servers[0] ?? '';
    const words = await run('lo', '--from', simulated.host(1), '--server', server, '--evidence');
    expect([words.code, words.stderr]).toEqual([0, '']);
    expect(words.stdout).toMatch(/^lo {2}IPv4, asked from 127\./m);
    expect(words.stdout).toMatch(/✔ A port-restricted NAT/);
    expect(words.stdout).toMatch(/mapping endpoint-independent; filtering address-and-port-dependent; ports equal/);
    expect(words.stdout).toMatch(/Can others reach me\? {2,}Not unasked/);
    expect(words.stdout).toMatch(/^IPv4 {4}mapping-1 /m);
    const json = await run(
      '127.0.0.1',
      '--from',
      simulated.host(1),
      '--server',
      server,
      '--json',
      '--profile',
      'fast',
      '--no-tcp',
    );
    expect(JSON.parse(json.stdout)).toMatchObject({
      interface: 'lo',
      type: 5,
      rfc3489: 'port restricted cone',
      report: { profile: 'fast' },
    });
    const direct = await StunServer.listen();
    open.push(direct);
    const oneFamily = await run('lo', '--server', direct.url, '--profile', 'fast');
    expect([oneFamily.code, oneFamily.stdout], 'a family that no server was named for is not missing').toEqual([
      0,
      expect.stringMatching(/No NAT and no filter/),
    ]);
    const silent = await StunServer.listen({ fault: 'dead' });
    open.push(silent);
    const nothing = await run('lo', '--server', silent.url, '--profile', 'fast');
    expect([nothing.code, nothing.stdout]).toEqual([1, expect.stringMatching(/✘ No server answered/)]);
  });

  it('gives what it has found when it is interrupted', async () => {
    const child: { kill?: (signal: 'SIGINT') => boolean } = {};
    const server = await StunServer.listen({
      script: ({ bytes }) => void (asksForAPort(bytes) && child.kill?.('SIGINT')),
    });
    open.push(server);
    const run = (...args: string[]) => {
      const started = spawn(process.execPath, [main, 'nat', ...args], { env: { ...process.env, NO_COLOR: '1' } });
      child.kill = started.kill.bind(started);
      return Promise.all([text(started.stdout), text(started.stderr), once(started, 'close')]);
    };
    const [words, errors, [code]] = await run(
      'lo',
      '--from',
      '127.0.0.1',
      '--server',
      server.url,
      '--lifetime',
      '--evidence',
    );
    expect([code, words]).toEqual([3, expect.stringMatching(/✔ No NAT and no filter[^]*^IPv4 {4}lifetime-plain /m)]);
    expect(errors).toMatch(/interrupt again to leave at once\nroutepool: stopped: what was found/);
    const [json, , [status]] = await run('lo', '--from', '127.0.0.1', '--server', server.url, '--lifetime', '--json');
    expect([status, JSON.parse(json)]).toEqual([3, expect.objectContaining({ type: 1 })]);
  });

  it('says of a family that no server was named for what to do', async () => {
    const server = await StunServer.listen();
    open.push(server);
    const child = spawn(process.execPath, [main, 'nat', 'lo', '--server', server.url, '--profile', 'fast'], {
      env: { ...process.env, NO_COLOR: '1' },
    });
    const [words] = await Promise.all([text(child.stdout), once(child, 'close')]);
    expect(words).toMatch(/No NAT and no filter/);
    expect(words).not.toMatch(/no server to ask/);
    if (Interface.find('lo').facts?.addresses.some(({ family }) => family === 6))
      expect(words).toMatch(/IPv6 was not looked at: none of the servers has an IPv6 address\. Name one that has/);
  });

  it.each<[string[], RegExp]>([
    [['no-such0'], /There is no interface 'no-such0'/],
    [['lo', 'eth0'], /expected one interface but received lo eth0/],
    [['--profle', 'fast'], /did you mean --profile\?/],
    [['--profile', 'quick'], /for --profile but received 'quick'/],
    [['--server', 'a,b'], /name --server twice/],
    [['--lifetime-max', '5000'], /name that too/],
    [['--lifetime', '--lifetime-max', 'soon'], /a number for --lifetime-max but received 'soon'/],
    [['--portal', 'ftp://x'], /for --portal/],
    [
      ['lo', '--from', 'fe80::1', '--server', '[::1]:9'],
      /for --from but received the link-local address fe80::1, which is valid on one link only/,
    ],
    [['lo', '--from', '::ffff:127.0.0.1', '--server', '[::1]:9'], /for --from but .* name 127\.0\.0\.1/],
    [['lo', '--from', 'here'], /an IP address, or one for each family, for --from but received 'here'/],
    [['--server', 'http://x'], /http/],
  ])('refuses %j and says what to do', (args, message) => {
    const { status, stdout, stderr } = cli(...args);
    expect([status, stdout, stderr]).toEqual([2, '', expect.stringMatching(message)]);
  });

  it('has a help text', () => {
    expect(cli('--help').stdout).toMatch(/^routepool nat: what kind of NAT/);
  });
});
