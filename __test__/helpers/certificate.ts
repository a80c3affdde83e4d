/** A certificate for this run, made by openssl. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why there can be none; undefined if there can. */
export const whyNoCertificate: string | undefined = spawnSync('openssl', ['version']).error
  ? "the command 'openssl' is not installed"
  : undefined;

/** A key and a certificate that signs itself, for `name` and the loopback addresses. */
export function makeCertificate(name = 'service.test'): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'routepool-cert-'));
  const at = (file: string) => join(folder, file);
  try {
    const names = `subjectAltName=DNS:${name},IP:127.0.0.1,IP:::1`;
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-addext',
      names,
    ];
    execFileSync('openssl', [...request, '-keyout', at('key.pem'), '-out', at('cert.pem')], { stdio: 'pipe' });
    return { key: readFileSync(at('key.pem'), 'utf8'), cert: readFileSync(at('cert.pem'), 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
