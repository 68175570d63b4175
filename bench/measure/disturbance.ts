import { readFileSync } from 'node:fs';
import { cpuSecondsOf } from './process-tree.ts';

const CLOCK_TICKS = 100;
/** What others may use of one core during a round before the round counts as disturbed. */
const OTHERS_LIMIT = 0.1;
/** What the hypervisor may withhold of one core. */
const STEAL_LIMIT = 0.03;

export interface Disturbance {
  /** CPU time of programs that are not ours, as a share of one core. */
  othersOfOneCore: number;
  /** CPU time that the hypervisor gave to other machines, as a share of one core. */
  stealOfOneCore: number;
  disturbed: boolean;
}

/** Begins to watch the machine; the function that is returned says what went on meanwhile. */
export function watchMachine(): () => Disturbance {
  const before = sample();
  return () => {
    const after = sample();
    const elapsed = after.seconds - before.seconds;
    const used = after.programs - before.programs;
    const ours = after.ours - before.ours;
    // Both are counted in ticks of 10 ms: a difference of a few is none.
    const othersOfOneCore = Math.max(0, (used - ours) / elapsed);
    const stealOfOneCore = (after.steal - before.steal) / elapsed;
    return {
      othersOfOneCore,
      stealOfOneCore,
      disturbed: othersOfOneCore > OTHERS_LIMIT || stealOfOneCore > STEAL_LIMIT,
    };
  };
}

/** Time of interrupts is left out: the kernel charges most of it to nobody, the network's among it. */
function sample() {
  const fields = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]?.split(' ').map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = fields;
  return {
    seconds: performance.now() / 1000,
    programs: (user + nice + system) / CLOCK_TICKS,
    steal: steal / CLOCK_TICKS,
    ours: cpuSecondsOf(process.pid),
  };
}
