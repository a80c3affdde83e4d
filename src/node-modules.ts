/**
 * Modules of Node that only some calls need, loaded by the first of these: `http`, `https`, `net`, `tls` and `dns`
 * together take longer than all of routepool. What is loaded in every process anyway is imported as usual.
 */
import type { LookupFunction } from './options/check.ts';

/** Gives a module of Node, which is loaded when it is first asked for. */
function lazy<T>(load: () => T): () => T {
  let loaded: T | undefined;
  return () => (loaded ??= load());
}

/** `node:http`. */
export const http: () => typeof import('node:http') = lazy(() => process.getBuiltinModule('node:http'));
/** `node:https`. */
export const https: () => typeof import('node:https') = lazy(() => process.getBuiltinModule('node:https'));
/** `node:net`. */
export const net: () => typeof import('node:net') = lazy(() => process.getBuiltinModule('node:net'));
/** `node:stream`. */
export const stream: () => typeof import('node:stream') = lazy(() => process.getBuiltinModule('node:stream'));
/** `node:tls`. */
export const tls: () => typeof import('node:tls') = lazy(() => process.getBuiltinModule('node:tls'));

/** `dns.lookup`. */
export const dnsLookup: LookupFunction = (...args) => process.getBuiltinModule('node:dns').lookup(...args);

type Constructor = abstract new (...args: never[]) => object;

/**
 * A class to extend whose module is loaded with the first instance. From then on its subclasses have all that it has,
 * and are instances of it.
 */
export function lazyClass<T extends Constructor>(load: () => T): T {
  // A constructor that returns an object: that is what `super()` then gives to the subclass.
  const Base = function (...args: unknown[]): object {
    const real = load();
    if (Object.getPrototypeOf(Base) !== real) {
      Object.setPrototypeOf(Base, real);
      Object.setPrototypeOf(Base.prototype as object, real.prototype as object);
    }
    return Reflect.construct(real, args, new.target ?? real) as object;
  };
  return Base as unknown as T;
}
