import assert from 'node:assert/strict';
import { DemoClient } from './demo/demo-client.ts';
import { assertFields, runSteps, type Step } from './demo/steps.ts';
import { findTarget } from './demo/target.ts';
import { loadEnvironmentFile } from './environment.ts';
import { Failure } from './failure.ts';
import { runMain, say } from './terminal.ts';

/** `npm run demo`: the whole main job over HTTP, shown and checked. `--built`: with the built service. */
async function demo(): Promise<number> {
  loadEnvironmentFile();
  const target = await findTarget(process.argv.includes('--built'));
  const client = new DemoClient(target.url);
  let count = 0;
  const step: Step = async (title, request, status, expected = {}) => {
    count += 1;
    say(`\n${count}. ${title}`);
    const answer = await client.send(request);
    assert.equal(answer.status, status, `the status is ${status}`);
    assertFields(answer.body, expected);
    return answer;
  };
  try {
    say(`Key Service at ${target.url}`);
    await runSteps(step, target.serviceKey);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure(`demo: step ${count} is not as expected: ${client.mask.apply(reason)}`);
  } finally {
    await target.stop();
  }
  say(`\ndemo: ${count} steps, all as expected`);
  return 0;
}

await runMain(demo);
