import { LOGGED_MAC_DIGITS } from './chain-verifier.ts';
import type { Head } from './event.ts';

/** A line of the log with so many heads has some 3,300 bytes: a pipe takes it in one piece (PIPE_BUF, 4,096). */
const HEADS_A_LINE = 40;
/** Some 2 MiB. With more than these it does not wait for its time. */
const MOST_KEPT = 10_000;

/**
 * The newest event of every chain that this replica has written to since it last told of it. What has been told is out of
 * reach of whoever can write to the database: a chain that ends before it was cut.
 */
export class MovedHeads {
  readonly #tell: (heads: string[]) => void;
  #moved = new Map<string, Head>();
  #timer: NodeJS.Timeout | undefined;

  /** @param tell given `<chain> <sequence> <first half of the MAC>`, some at a time */
  constructor(tell: (heads: string[]) => void) {
    this.#tell = tell;
  }

  /** Only of what has been committed. */
  note(heads: readonly Head[]): void {
    for (const head of heads) {
      const known = this.#moved.get(head.chain);
      if (known === undefined || known.sequence < head.sequence) this.#moved.set(head.chain, head);
    }
    if (this.#moved.size >= MOST_KEPT) this.tellAll();
  }

  start(intervalMs: number): void {
    this.#timer = setInterval(() => this.tellAll(), intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.tellAll();
  }

  tellAll(): void {
    const heads = [...this.#moved.values()].map(headText);
    this.#moved = new Map();
    for (let start = 0; start < heads.length; start += HEADS_A_LINE)
      this.#tell(heads.slice(start, start + HEADS_A_LINE));
  }
}

const headText = ({ chain, sequence, mac }: Head) =>
  `${chain} ${sequence} ${mac.toString('hex').slice(0, LOGGED_MAC_DIGITS)}`;

const HEAD = new RegExp(
  `\\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) (\\d{1,15}) ([0-9a-f]{${LOGGED_MAC_DIGITS}})\\b`,
  'g',
);

/** The heads in a line of a log, whatever stands around them. */
export function headsIn(line: string): { chain: string; sequence: number; mac: string }[] {
  return [...line.matchAll(HEAD)].map(([, chain = '', sequence, mac = '']) => ({
    chain,
    sequence: Number(sequence),
    mac,
  }));
}
