// Each member of each public class and interface has a docstring: typedoc looks at functions and types, and not at
// their fields.
import ts from 'typescript';
import { readArguments } from '../common/arguments.mjs';

readArguments({ usage: 'npm run check:docs', about: 'Checks that everything public has a docstring.' });

const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile('tsconfig.json', ts.sys.readFile).config,
  ts.sys,
  '.',
);
const entries = ['src/index.ts', 'src/testing/index.ts'];
const program = ts.createProgram(entries, { ...options, noEmit: true });
const checker = program.getTypeChecker();
const missing = new Set();
let seen = 0;
for (const entry of entries) {
  for (const found of checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry)))) {
    const symbol = found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
    for (const declaration of symbol.declarations ?? []) {
      const documented = new Set();
      for (const member of declaration.members ?? []) {
        const name = member.name?.getText();
        if (
          name === undefined ||
          ts.isPrivateIdentifier(member.name) ||
          (member.modifiers ?? []).some((one) => one.kind === ts.SyntaxKind.PrivateKeyword)
        )
          continue;
        seen++;
        // One docstring does for all overloads, and for a getter with its setter.
        if (ts.getJSDocCommentsAndTags(member).length > 0) documented.add(name);
        else if (!documented.has(name)) missing.add(`${declaration.getSourceFile().fileName}: ${found.name}.${name}`);
      }
    }
  }
}
if (missing.size > 0) {
  console.error(`without a docstring:\n${[...missing].join('\n')}`);
  process.exit(1);
}
console.log(`${seen} members of public classes and interfaces: each has a docstring`);
