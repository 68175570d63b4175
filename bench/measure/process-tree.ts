import { readdirSync, readFileSync } from 'node:fs';

/** Ticks a second of /proc/<pid>/stat; 100 on every Linux that Node supports. */
const CLOCK_TICKS = 100;

export interface ProcessStat {
  pid: number;
  parent: number;
  /** User and system time of the process and of its children that have ended, in seconds. */
  cpuSeconds: number;
}

/** What the kernel says of a process; undefined when it has just ended. */
function statOf(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets, which may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15).map(Number);
    return { pid, parent: Number(fields[1]), cpuSeconds: (utime + stime + cutime + cstime) / CLOCK_TICKS };
  } catch {
    return undefined;
  }
}

/** A process and all that descend from it. */
export function treeOf(root: number): ProcessStat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat !== undefined);
  const tree = all.filter(({ pid }) => pid === root);
  for (let at = 0; at < tree.length; at += 1) {
    tree.push(...all.filter(({ parent }) => parent === tree[at]?.pid));
  }
  return tree;
}

/** CPU time of a process and all that descend from it, those included that have ended and were waited for. */
export function cpuSecondsOf(root: number): number {
  return treeOf(root).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

/** Resident memory in MiB of a process and all that descend from it; pages that they share count for each. */
export function residentMiBOf(root: number): number {
  return treeOf(root).reduce((sum, { pid }) => sum + residentKiBOf(pid), 0) / 1024;
}

function residentKiBOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
