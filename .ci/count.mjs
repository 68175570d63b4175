import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

// Adds up the test runner's JSON reports, after naming every test that failed, which is pages up in the output by then.
// A report that is missing is a run that failed.
let passed = 0;
let failed = 0;
let skipped = 0;
for (const file of process.argv.slice(2)) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    passed += report.numPassedTests;
    failed += report.numFailedTests;
    skipped += report.numPendingTests;
    // A file that could not even be loaded has no tests to fail.
    failed += report.testResults.filter(
      ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
    ).length;
    for (const { name, status, message, assertionResults } of report.testResults) {
      if (status !== 'failed') continue;
      console.log(`failed: ${relative('.', name)} ${message}`.trim());
      for (const { status, fullName, failureMessages } of assertionResults) {
        if (status === 'failed') console.log(`  ${fullName}\n${failureMessages.join('\n')}`);
      }
    }
  } catch {
    failed += 1;
  }
}
if (skipped > 0) console.log(`(${skipped} skipped)`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
