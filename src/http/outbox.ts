import type { ServerResponse } from 'node:http';

interface Answer {
  /** Its status and headers are set. */
  response: ServerResponse;
  text: string;
  encoding: BufferEncoding;
}

/** With so many validations the first has waited for less than a millisecond. */
const MOST_TOGETHER = 32;

let ready: Answer[] = [];
let isScheduled = false;

/**
 * Ends an answer as soon as all requests that have arrived together with its own have been handled, right after theirs.
 *
 * Who reads at the other end of a connection is woken by a write, which is the most expensive part of it, and is not woken again
 * while it is busy with what the first one brought (docs/decisions/0035). A request that comes alone waits for nothing.
 */
export function endTogether(response: ServerResponse, text: string, encoding: BufferEncoding): void {
  ready.push({ response, text, encoding });
  if (ready.length >= MOST_TOGETHER) endAll();
  else if (!isScheduled) schedule();
}

function schedule(): void {
  isScheduled = true;
  setImmediate(() => {
    isScheduled = false;
    endAll();
  });
}

function endAll(): void {
  const answers = ready;
  ready = [];
  for (const { response, text, encoding } of answers) {
    try {
      response.end(text, encoding);
    } catch {
      // No answer may keep another from being sent.
      response.destroy();
    }
  }
}
