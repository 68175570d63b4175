/** A line for whoever runs the command. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The same, beside what the command writes. */
export function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** What ends a command, in words for whoever runs it. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}
