/**
 * Public names: those that were given up are in no public file, and an option that was renamed says what it is called
 * now.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  chooseStunAddresses,
  Interface,
  loadInterfaces,
  validate,
  watch,
  type LoadOptions,
  type ValidateOptions,
} from '../../src/index.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const within = (folder: string, name: RegExp) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => name.test(file))
    .map((file) => join(folder, file));

/** What users read. */
const DOCUMENTS = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...within('docs', /\.md$/)];
const EXAMPLES = within('examples', /\.(mjs|ts|service)$/);
/** What nobody's compiler looks at. */
const SCRIPTS = [...within('bench', /\.mjs$/), ...within('scripts', /\.mjs$/), ...within('__test__', /\.mjs$/)];
const CODE = within('src', /\.ts$/);
const API = 'etc/routepool.api.md';

/** Names of the API that were too general, or not those of the field, and what each is called now. */
const EXPORTS: [old: string, now: string][] = [
  ['describe', 'describeVerdict'],
  ['Pick', 'RoutePicker'],
  ['PickOptions', 'RoutePickerOptions'],
  ['stats', 'pipeStats'],
  ['Stats', 'PipeStats'],
  ['setReader', 'setPipeReader'],
  ['Reader', 'PipeReader'],
  ['Where', 'ListenTargets'],
  ['WhereItem', 'ListenTarget'],
  ['Leaving', 'PipeSource'],
  ['Data', 'PipeData'],
  ['Peer', 'PipePeer'],
  ['Status', 'VerdictStatus'],
  ['Sample', 'ValidateSample'],
  ['Scope', 'AddressScope'],
  ['Finding', 'NatFinding'],
  ['Lifetime', 'NatLifetime'],
  ['Allocation', 'NatAllocation'],
  ['Mapping', 'NatMapping'],
  ['Filtering', 'NatFiltering'],
  ['Hairpin', 'NatHairpin'],
  ['Pooling', 'NatPooling'],
  ['Connectivity', 'NatConnectivity'],
  ['NatBreach', 'NatViolation'],
  ['Woken', 'Resumed'],
  ['DefaultWay', 'DefaultRoute'],
];

/** Members of the API that were renamed, by the class or interface that had them. */
const MEMBERS: [owner: string, old: string, now: string][] = [
  ['BoundRoute', 'interfaceRefused', 'interfaceBindError'],
  ['Pipe', 'interfaceRefused', 'interfaceBindError'],
  ['Evidence', 'interfaceRefused', 'interfaceBindError'],
  ['NatFamily', 'interfaceRefused', 'interfaceBindError'],
  ['Interface', 'whyNone', 'noRouteReason'],
  ['WatchCounters', 'looks', 'scans'],
  ['WatchCounters', 'notices', 'events'],
  ['ValidationProgress', 'found', 'ok'],
  ['ValidationProgress', 'lost', 'notOk'],
  ['Nat', 'breaches', 'violations'],
  ['ValidateOptions', 'server', 'servers'],
  ['LoadOptions', 'stunServers', 'servers'],
];

/** Old names that can be told apart from plain English wherever they stand. */
const ANYWHERE =
  /stunServers?\b(?!\()|--stun-server\b|\bwhyNone\b|\binterfaceRefused\b|\bsetReader\b|\bDefaultWay\b|\bNatBreach\b|\bbreaches\b|['`]woken['`]|\bPickOptions\b|\bWhereItem\b|\.proven\(\)/;
/** Those that are options or calls in code. */
const IN_CODE =
  /[({,]\s*server: (?=['`["])|validate\([^;]*\bserver\s*[:,}]|[^.\w](?:describe|stats)\(|\bprogress\.(?:found|lost)\b|\.(?:looks|notices)\b/;

describe('names that were given up', () => {
  const api = read(API);

  it.each(EXPORTS)('%s is no export; it is %s', (old, now) => {
    const exported = (name: string) =>
      new RegExp(`^export (?:abstract )?(?:class|const|function|interface|type) ${name}\\b`, 'm').test(api);
    expect([exported(old), exported(now)]).toEqual([false, true]);
  });

  it.each(MEMBERS)('%s has no `%s`; it is `%s`', (owner, old, now) => {
    const body = new RegExp(`^export (?:class|interface) ${owner}\\b[^]*?^}`, 'm').exec(api)?.[0] ?? '';
    const has = (name: string) => new RegExp(`^ {4}(?:readonly |get )?${name}\\b[?:(]`, 'm').test(body);
    expect([has(old), has(now)]).toEqual([false, true]);
  });

  it.each([API, ...DOCUMENTS, ...EXAMPLES, ...SCRIPTS, ...CODE])('are not in %s', (file) => {
    const found = read(file)
      .split('\n')
      .flatMap((line, i) => (ANYWHERE.test(line) ? [`${i + 1}: ${line.trim()}`] : []));
    expect(found).toEqual([]);
  });

  it.each([...DOCUMENTS, ...EXAMPLES, ...SCRIPTS])('are in no code of %s', (file) => {
    const text = read(file);
    const code = file.endsWith('.md')
      ? [...text.matchAll(/^```[jt]s\n([^]*?)^```$/gm)].map(([, block]) => block).join('\n')
      : text;
    expect(code.split('\n').filter((line) => IN_CODE.test(line))).toEqual([]);
  });
});

describe('an option that was renamed says what it is called now', () => {
  const servers = '127.0.0.1:9';
  const load = { stunServers: servers } as LoadOptions;
  it.each<[name: string, call: () => unknown, old: string]>([
    ['validate', () => validate('127.0.0.0/30', { server: servers } as ValidateOptions), 'server'],
    ['Interface.load', () => Interface.load('lo', load), 'stunServers'],
    ['Interface.load, without a name', () => Interface.load(load), 'stunServers'],
    ['loadInterfaces', () => loadInterfaces(['lo'], load), 'stunServers'],
    ['Interface.loadNat', () => Interface.find('lo').loadNat(load as object), 'stunServers'],
    [
      'Interface.loadNat, as validate had it',
      () => Interface.find('lo').loadNat({ server: servers } as object),
      'server',
    ],
    ['Route.observe', async () => (await validate('127.0.0.1').pool()).at(0)?.observe(load), 'stunServers'],
    ['chooseStunAddresses', () => chooseStunAddresses(load), 'stunServers'],
    ['watch', () => watch({ external: load }), 'stunServers'],
  ])('%s', async (_, call, old) => {
    const error: unknown = await (async () => call())().then(
      () => 'it was taken',
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'ERR_ROUTEPOOL_OPTION',
      option: old,
      message: `unknown option \`${old}\`; did you mean \`servers\`?`,
    });
  });
});
