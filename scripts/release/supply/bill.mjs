// The bill of materials of one binary, in CycloneDX 1.6 (https://cyclonedx.org): the crates inside, with licences and
// checksums. It has neither a time nor a random number: the same binary always has the same bill.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileOf } from '../../build/targets/list.mjs';
import { linkedCrates } from './linked.mjs';

/** The npm package of a target's binary. */
const packageOf = (target) => `routepool-${fileOf(target).slice('routepool.'.length, -'.node'.length)}`;

/** The commit of the Rust compiler whose standard library is inside, as the binary's panic messages name it. */
const compilerOf = (binary) => /\/rustc\/([0-9a-f]{40})\//.exec(binary.toString('latin1'))?.[1];

/** The document for a target; with the binary, its checksum and the compiler's commit are in it too. */
export function billOf(target, version, file) {
  const binary = file === undefined ? undefined : readFileSync(file);
  const crates = linkedCrates(target);
  const name = packageOf(target);
  const top = `pkg:npm/${name}@${version}`;
  const refOf = (key) => {
    const crate = crates.find((candidate) => candidate.key === key);
    return crate.own ? `${top}#${crate.name}` : `pkg:cargo/${crate.name}@${crate.version}`;
  };
  const compiler = binary && compilerOf(binary);
  const std = compiler && {
    'type': 'library',
    'bom-ref': `rust-std@${compiler}`,
    'name': 'rust-std',
    'version': compiler,
    'description': "Rust's standard library; the version is the commit of the compiler",
    'licenses': [{ expression: 'MIT OR Apache-2.0' }],
  };
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        'type': 'library',
        'bom-ref': top,
        name,
        version,
        'purl': top,
        'licenses': [{ license: { id: 'MIT' } }],
        ...(binary
          ? {
              hashes: [{ alg: 'SHA-256', content: createHash('sha256').update(binary).digest('hex') }],
              properties: [{ name: 'routepool:file', value: basename(file) }],
            }
          : {}),
      },
    },
    components: [
      ...crates.map((crate) => ({
        'type': 'library',
        'bom-ref': refOf(crate.key),
        'name': crate.name,
        'version': crate.version,
        ...(crate.own ? {} : { purl: refOf(crate.key), hashes: [{ alg: 'SHA-256', content: crate.checksum }] }),
        'licenses': [{ expression: crate.license.replaceAll('/', ' OR ') }],
        ...(crate.repository && !crate.own ? { externalReferences: [{ type: 'vcs', url: crate.repository }] } : {}),
      })),
      ...(std ? [std] : []),
    ],
    dependencies: [
      { ref: top, dependsOn: [refOf(crates.find(({ own, name: crate }) => own && crate === 'routepool').key)] },
      ...crates.map(({ key, uses }) => ({ ref: refOf(key), dependsOn: uses.map(refOf) })),
    ],
  };
}
