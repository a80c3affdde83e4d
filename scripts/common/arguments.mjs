// The arguments of the scripts: all know --help, and all answer a wrong one with one line that says what is wrong and
// how they are called, on standard error, with exit code 2.
import { parseArgs } from 'node:util';

/**
 * Reads the arguments of this process. `usage` is how it is called, `about` what it does; `options` are those of
 * node:util's parseArgs, each with `about`; `operands` are the fewest and the most arguments beside options, and
 * `oneOf` what each of them may be. Gives `values` and `operands`; ends the process with --help (0) and where something
 * is wrong (2).
 */
export function readArguments({ usage, about, options = {}, operands: [fewest, most] = [0, 0], oneOf }) {
  const known = { ...options, help: { type: 'boolean', short: 'h', about: 'this text' } };
  const wrong = (what) => {
    console.error(`${what}\nusage: ${usage}`);
    process.exit(2);
  };
  let parsed;
  try {
    parsed = parseArgs({ allowPositionals: true, options: known });
  } catch (error) {
    // The rest of its message is about arguments that begin with a hyphen.
    wrong(error.message.split('. ')[0]);
  }
  const { values, positionals: operands } = parsed;
  if (values.help) {
    const width = Math.max(...Object.keys(known).map((name) => name.length));
    const list = Object.entries(known).map(([name, option]) => `  --${name.padEnd(width)}  ${option.about}`);
    console.log(`usage: ${usage}\n\n${about}\n${oneOf ? `\n${oneOf.join(', ')}\n` : ''}\n${list.join('\n')}`);
    process.exit(0);
  }
  if (operands.length < fewest)
    wrong(operands.length === 0 ? 'An argument is missing' : `An argument is missing after ${operands.at(-1)}`);
  if (operands.length > most) wrong(`Not expected: ${operands.slice(most).join(' ')}`);
  const strange = oneOf === undefined ? [] : operands.filter((operand) => !oneOf.includes(operand));
  if (strange.length > 0) wrong(`Not one of ${oneOf.join(', ')}: ${strange.join(', ')}`);
  return { values, operands };
}
