import { say } from '../../development/terminal.ts';
import type { PartResult } from '../results.ts';

/** What a part found, on the terminal. */
export function printResult({ targets, notes }: PartResult): void {
  for (const { text, value, met } of targets) say(`  ${met ? 'met    ' : 'NOT MET'}  ${text}: ${value}`);
  for (const note of notes) say(`  note     ${note}`);
}
