/** An environment variable as the service reads it: trimmed, and an empty one is a missing one. */
export function variable(name: string): string | undefined {
  return process.env[name]?.trim() || undefined;
}
