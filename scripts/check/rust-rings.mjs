// npm run lint: that the modules in a folder of a Rust crate do not use each other in a ring. The compiler takes one,
// but whoever wants to understand a module of it has to read them all. What a contents page hands on (`pub use
// plan::Plan`) counts as used from where it is; a module and those below it belong together; tests may look at
// anything.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from '../common/arguments.mjs';

const { operands } = readArguments({
  usage: 'node scripts/check/rust-rings.mjs [CRATE…]',
  about: 'Finds rings of modules in crates, by default in all of the folder crates.',
  operands: [0, Number.POSITIVE_INFINITY],
});
const crates = operands.length > 0 ? operands : readdirSync('crates').map((name) => join('crates', name));

/** The modules of a crate by path (`validate::run`; the crate itself is ''): code without comments and tests. */
function modulesOf(crate) {
  const modules = new Map();
  const visit = (path, file) => {
    const code = readFileSync(file, 'utf8')
      .replace(/\/\/.*$/gm, '')
      // A module of tests is the last thing in a file.
      .replace(/^#\[cfg\(test\)\]\n(#\[.*\]\n)*mod \w+ \{[^]*/m, '');
    modules.set(path, code);
    const folder = path === '' ? join(crate, 'src') : file.replace(/\.rs$/, '');
    for (const [, attributes = '', name] of code.matchAll(/^((?:#\[[^\n]*\]\n)*)(?:pub(?:\([^)]*\))? )?mod (\w+);/gm)) {
      const named = /#\[path = "(.*)"\]/.exec(attributes)?.[1];
      const place = named === undefined ? join(folder, `${name}.rs`) : join(file, '..', named);
      const below = path === '' ? name : `${path}::${name}`;
      // Of the files for several systems each is read.
      if (!attributes.includes('cfg(test)') && existsSync(place))
        visit(modules.has(below) ? `${below}'` : below, place);
    }
  };
  visit('', join(crate, 'src/lib.rs'));
  return modules;
}

/** The paths of a tree of `use`: `a::{b, c::d as e}` is `a::b` and `a::c::d`. */
function pathsOf(tree) {
  const open = tree.indexOf('{');
  if (open < 0) return [tree.replace(/ as \w+/, '').trim()];
  const inside = tree.slice(open + 1, tree.lastIndexOf('}'));
  const parts = [''];
  let depth = 0;
  for (const sign of inside) {
    depth += sign === '{' ? 1 : sign === '}' ? -1 : 0;
    if (sign === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += sign;
  }
  return parts.filter((part) => part.trim() !== '').flatMap((part) => pathsOf(tree.slice(0, open) + part.trim()));
}

const parent = (path) => path.split('::').slice(0, -1).join('::');
const below = (path, name) => (path === '' ? name : `${path}::${name}`);

/** The module in which what `path` names, seen from the module `from`, is written down. */
function resolve(modules, from, path, seen = new Set()) {
  const names = path.split('::');
  let at = from;
  while (['crate', 'self', 'super'].includes(names[0])) {
    const first = names.shift();
    at = first === 'crate' ? '' : first === 'super' ? parent(at) : at;
  }
  while (names.length > 0 && modules.has(below(at, names[0]))) at = below(at, names.shift());
  const key = below(at, names[0] ?? '');
  if (names.length === 0 || seen.has(key)) return at;
  seen.add(key);
  for (const [, tree] of (modules.get(at) ?? '').matchAll(/^pub(?:\([^)]*\))? use ([^;]+);/gm)) {
    const handedOn = pathsOf(tree).find((other) => other.split('::').at(-1) === names[0]);
    if (handedOn !== undefined) return resolve(modules, at, handedOn, seen);
  }
  return at;
}

/** The code of a module and of the modules written down inside of it, each with its path. */
function partsOf([module, code]) {
  const inside = /^(?:pub(?:\([^)]*\))? )?mod (\w+) \{\n[^]*?^\}/gm;
  const parts = [...code.matchAll(inside)].map(([text, name]) => [below(module, name), text]);
  return [[module, code.replace(inside, '')], ...parts];
}

/** Who uses whom: room, module in it, the modules of the room that this one uses with the place where it does. */
function usesOf(modules) {
  const rooms = new Map();
  for (const [from, code] of [...modules].flatMap(partsOf)) {
    const trees = [...code.matchAll(/^\s*(?:pub(?:\([^)]*\))? )?use ([^;]+);/gm)].map(([, tree]) => tree);
    const inline = [...code.matchAll(/\b(?:crate|super)(?:::\w+)+/g)].map(([path]) => path);
    for (const path of [...trees.flatMap(pathsOf), ...inline].filter((text) => /^(?:crate|super|self)::/.test(text))) {
      const [a, b] = [from, resolve(modules, from, path)].map((module) => module.replaceAll("'", '').split('::'));
      const fork = a.findIndex((name, i) => name !== b[i]);
      // One of them is below the other.
      if (fork < 0 || !a[fork] || !b[fork]) continue;
      const room = a.slice(0, fork).join('::');
      const uses = rooms.get(room) ?? new Map();
      rooms.set(room, uses.set(a[fork], (uses.get(a[fork]) ?? new Map()).set(b[fork], from)));
    }
  }
  return rooms;
}

/** One ring among the modules of a room, if there is one: the modules in order. */
function ringOf(uses) {
  const done = new Set();
  const visit = (name, way) => {
    const at = way.indexOf(name);
    if (at >= 0) return way.slice(at);
    if (done.has(name)) return undefined;
    for (const next of uses.get(name)?.keys() ?? []) {
      const ring = visit(next, [...way, name]);
      if (ring !== undefined) return ring;
    }
    done.add(name);
    return undefined;
  };
  for (const name of uses.keys()) {
    const ring = visit(name, []);
    if (ring !== undefined) return ring;
  }
  return undefined;
}

let found = false;
for (const crate of crates) {
  for (const [room, uses] of usesOf(modulesOf(crate))) {
    const ring = ringOf(uses);
    if (ring === undefined) continue;
    found = true;
    const arrows = [...ring, ring[0]].join(' -> ');
    const where = ring.map((name, i) => uses.get(name).get(ring[(i + 1) % ring.length]));
    console.error(`${crate}: a ring of modules${room && ` in ${room}`}: ${arrows} (in ${where.join(', ')})`);
  }
}
if (found) process.exit(1);
