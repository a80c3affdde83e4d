// Known vulnerabilities: what the databases said, or that they could not be asked.

/** What `cargo deny check advisories` found: `checked`, `text`, and `bad` where there is something to mend. */
export function crateAdvisories({ status, output }) {
  if (status === 0) return { checked: true, bad: false, text: output.trim() };
  if (/failed to fetch advisory database/i.test(output))
    return {
      checked: false,
      bad: false,
      text: 'advisories of crates: NOT CHECKED, their database cannot be reached from here',
    };
  return { checked: true, bad: true, text: output.trim() };
}

/**
 * What `npm audit --json` found: the same. routepool has no npm dependencies: these are the tools that it is built and
 * tested with.
 */
export function npmAdvisories(output) {
  let found;
  try {
    found = JSON.parse(output).metadata?.vulnerabilities;
  } catch {
    // npm itself failed.
  }
  if (found === undefined)
    return {
      checked: false,
      bad: false,
      text: 'advisories of npm packages: NOT CHECKED, the registry does not answer that question here',
    };
  const bad = found.high > 0 || found.critical > 0;
  return {
    checked: true,
    bad,
    text: `advisories of npm packages: ${JSON.stringify(found)}${bad ? '\nnpm audit says which, and what mends them.' : ''}`,
  };
}

/**
 * How the check ends: 1 for something to mend, 3 where something was not checked that must be, and else 0; and the line
 * that says so.
 */
export function verdict(results, required) {
  const unchecked = results.filter(({ checked }) => !checked).length;
  if (results.some(({ bad }) => bad))
    return { code: 1, text: 'supply chain: there are known vulnerabilities, see above' };
  if (unchecked === 0) return { code: 0, text: 'supply chain: in order, advisories included' };
  const text = `supply chain: licences, sources and notices are in order; ${unchecked} of ${results.length} databases of advisories NOT CHECKED`;
  return required
    ? { code: 3, text: `${text}, and --require-advisories asks for them` }
    : { code: 0, text: `${text} (--require-advisories makes that a failure)` };
}
