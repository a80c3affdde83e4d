// What a Linux machine needs to link for Windows and to run the result: stubs for the linker, and wine.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOOLS } from './nodes.mjs';
import { run } from '../../common/system.mjs';

/** What must be there, and Debian's packages that bring it. */
export const windowsPackages = [
  ['wine', 'x86_64-w64-mingw32-gcc'],
  ['wine', 'wine64', 'gcc-mingw-w64-x86-64'],
];

/**
 * What the linker asks for and nothing uses: Node's symbols are looked up when the addon is loaded, and there is no
 * stack protector.
 */
export function windowsStubs() {
  const folder = join(TOOLS, 'windows-stubs');
  if (!existsSync(join(folder, 'libssp_nonshared.a'))) {
    mkdirSync(folder, { recursive: true });
    const at = { cwd: folder };
    writeFileSync(join(folder, 'stub.c'), 'void libnode_stub(void){}');
    writeFileSync(join(folder, 'stub.def'), 'LIBRARY libnode.dll\nEXPORTS\nlibnode_stub\n');
    run('x86_64-w64-mingw32-gcc', ['-shared', '-nostdlib', '-Wl,--entry=0', '-o', 'libnode.dll', 'stub.c'], at);
    run('x86_64-w64-mingw32-dlltool', ['-d', 'stub.def', '-l', 'libnode.a'], at);
    copyFileSync(join(folder, 'libnode.a'), join(folder, 'libnode.dll.a'));
    for (const name of ['libssp.a', 'libssp_nonshared.a']) run('x86_64-w64-mingw32-ar', ['cr', name], at);
  }
  return { LIBNODE_PATH: folder };
}

/**
 * A Windows of its own. wine 8 lacks a library of Windows 10 that Rust's standard library takes random numbers from.
 */
export function wineEnvironment() {
  const prefix = join(TOOLS, 'wine');
  const env = { WINEPREFIX: prefix, WINEDEBUG: '-all', NODE_SKIP_PLATFORM_CHECK: '1' };
  const dll = join(prefix, 'drive_c', 'windows', 'system32', 'bcryptprimitives.dll');
  if (!existsSync(dll)) {
    run('wine', ['wineboot', '-i'], { env: { ...process.env, ...env } });
    const source = join(TOOLS, 'prng.c');
    writeFileSync(
      source,
      '#include <windows.h>\nBOOLEAN WINAPI SystemFunction036(PVOID, ULONG);\n' +
        '__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T len) { return SystemFunction036(to, (ULONG)len); }\n',
    );
    run('x86_64-w64-mingw32-gcc', ['-shared', '-o', dll, source, '-ladvapi32']);
  }
  return env;
}
