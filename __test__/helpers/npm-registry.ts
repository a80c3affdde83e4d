/**
 * An npm registry in this process, on loopback: what `npm publish`, `npm view` and `npm install` ask of one, and
 * failures as told.
 */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dist: { integrity: string; tarball: string };
}

/** What `npm publish` sends: one version, and its tarball in base64. */
interface Publication {
  readonly 'name': string;
  readonly 'dist-tags': Record<string, string>;
  readonly 'versions': Record<string, Manifest>;
  readonly '_attachments': Record<string, { data: string }>;
}

interface Stored {
  readonly 'name': string;
  readonly 'dist-tags': Record<string, string>;
  readonly 'versions': Record<string, Manifest>;
}

export class NpmRegistry {
  /** The packages that were published, in that order. */
  readonly published: string[] = [];
  /** How many more publications are taken before one fails with 500. */
  healthyFor = Number.POSITIVE_INFINITY;
  readonly #packages = new Map<string, Stored>();
  readonly #tarballs = new Map<string, Buffer>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<NpmRegistry> {
    const server = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname).slice(1);
      if (request.method === 'PUT') void json(request).then((body) => registry.#publish(body as Publication, response));
      else registry.#get(path, response);
    });
    const registry = new NpmRegistry(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** The tags of a package. */
  tags(name: string): Record<string, string> | undefined {
    return this.#packages.get(name)?.['dist-tags'];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #publish(
    { name, versions, 'dist-tags': tags, '_attachments': attachments }: Publication,
    response: ServerResponse,
  ): void {
    if (this.healthyFor <= 0) return answer(response, 500, { error: 'this registry is ill' });
    this.healthyFor -= 1;
    const there = this.#packages.get(name) ?? { name, 'dist-tags': {}, 'versions': {} };
    for (const [version, manifest] of Object.entries(versions)) {
      if (version in there.versions)
        return answer(response, 403, {
          error: `You cannot publish over the previously published versions: ${version}.`,
        });
      const file = `${name}/-/${name}-${version}.tgz`;
      manifest.dist.tarball = `${this.url}${file}`;
      there.versions[version] = manifest;
      for (const { data } of Object.values(attachments)) this.#tarballs.set(file, Buffer.from(data, 'base64'));
    }
    Object.assign(there['dist-tags'], tags);
    this.#packages.set(name, there);
    this.published.push(name);
    return answer(response, 201, { ok: true });
  }

  #get(path: string, response: ServerResponse): void {
    const tarball = this.#tarballs.get(path);
    if (tarball !== undefined) {
      response.end(tarball);
      return;
    }
    const found = this.#packages.get(path);
    answer(response, found === undefined ? 404 : 200, found ?? { error: 'Not found' });
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
