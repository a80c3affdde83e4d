// Time to a full verdict behind real NATs (namespaces, nftables, coturn): routepool against turnutils_natdiscovery,
// Debian's stun client, and stuntman's client where it is installed; in turn, each round on the same NAT.
import { fileURLToPath } from 'node:url';
import { describeMachine, median } from './harness.mjs';
import { NatLab, whyNoNamespaces } from './nat-lab.mjs';

const smoke = process.argv.includes('--smoke');
const here = fileURLToPath(new URL('.', import.meta.url));
const why = whyNoNamespaces('nft', 'ss', 'turnserver', 'turnutils_natdiscovery', 'stun');
if (why !== undefined) {
  console.log(`SKIPPED: no labs with real NATs here (${why})`);
  process.exit(0);
}
const stuntman = whyNoNamespaces('stunclient') === undefined;
const rounds = smoke ? 1 : 5;
/**
 * What must be waited for where something is silent: five requests, 80 ms apart (NAT_GAPS in
 * crates/core/src/defaults.rs).
 */
const ONE_SILENCE_MS = 400;
/** The labs, and what is silent in them. */
const LABS = [
  ['open', 'nothing is silent'],
  ['fullCone', 'nothing is silent'],
  ['addressRestricted', 'one silence'],
  ['portRestricted', 'two at once'],
  ['symmetricRandom', 'two at once'],
  ['firewall', 'two at once'],
].filter(([name]) => !smoke || name === 'open' || name === 'portRestricted');

console.log(describeMachine());
const rows = [
  [
    'NAT',
    'routepool normal',
    'routepool fast',
    'routepool nat (process)',
    'turnutils_natdiscovery -m -f',
    'stun (Debian)',
    ...(stuntman ? ['stunclient --mode full'] : []),
  ],
];
for (const [name, silence] of LABS) {
  const lab = await NatLab.create(name);
  try {
    await lab.startCoturn();
    const [server] = lab.servers;
    const timed = (...command) => {
      const began = performance.now();
      lab.client.try(...command);
      return performance.now() - began;
    };
    const ours = (profile) => {
      const found = JSON.parse(lab.client.run(process.execPath, `${here}nat-contender.mjs`, server, profile, '3'));
      if (found.assumed) throw new Error(`${name}: not all was found out: ${JSON.stringify(found)}`);
      return median(found.took);
    };
    const contenders = [
      () => ours('normal'),
      () => ours('fast'),
      () => timed(process.execPath, `${here}../dist/cli/main.js`, 'nat', '--server', server),
      () => timed('turnutils_natdiscovery', '-m', '-f', server),
      () => timed('stun', server),
      ...(stuntman ? [() => timed('stunclient', '--mode', 'full', server)] : []),
    ];
    const times = contenders.map(() => []);
    for (let round = 0; round < rounds; round++) contenders.forEach((run, i) => times[i].push(run()));
    const base = times[0];
    rows.push([
      `${name} (${silence})`,
      ...times.map((each, i) => {
        const seconds = (median(each) / 1_000).toFixed(3);
        return i < 2
          ? `${seconds} s`
          : `${seconds} s, ${median(each.map((ms, round) => ms / base[round])).toFixed(1)} ×`;
      }),
    ]);
  } finally {
    lab.close();
  }
}
const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
for (const row of rows)
  console.log(
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  );
console.log(
  `medians of ${rounds} round${rounds === 1 ? '' : 's'}, × of routepool's normal profile in the same round; routepool also tells ports and TCP`,
);
console.log(`the bound where something is silent: ${(ONE_SILENCE_MS / 1_000).toFixed(3)} s, one silence`);
