/**
 * Loaded before Key Service: each reveal is recorded in a transaction of its own, as changes are. What is left of the
 * difference is what sharing commits is worth.
 */
interface Recorder {
  reveal(caller: unknown, entry: unknown, limitMs: number): Promise<void>;
  change(
    caller: unknown,
    work: () => Promise<{ result: undefined; events: unknown[] }>,
    limitMs: number,
  ): Promise<undefined>;
}

const built: { Audit: { prototype: Recorder } } = await import(new URL('../audit/audit.js', import.meta.url).href);

built.Audit.prototype.reveal = function reveal(caller, entry, limitMs) {
  return this.change(caller, async () => ({ result: undefined, events: [entry] }), limitMs);
};
