import { Presets, SingleBar } from 'cli-progress';
import { say } from './say.ts';

export interface Progress {
  add(count: number): void;
  end(): void;
}

/** A bar on a terminal, a line for each batch elsewhere. `what` is what is counted: "data keys wrapped". */
export function progressOf(what: string, total: number): Progress {
  return process.stdout.isTTY && total > 0 ? bar(what, total) : lines(what, total);
}

function bar(what: string, total: number): Progress {
  const single = new SingleBar(
    { format: `{bar} {value}/{total} ${what}, {eta_formatted} left`, stream: process.stdout },
    Presets.shades_grey,
  );
  single.start(total, 0);
  return { add: (count) => single.increment(count), end: () => single.stop() };
}

function lines(what: string, total: number): Progress {
  let done = 0;
  return {
    add(count) {
      done += count;
      say(`${done} of ${total} ${what}`);
    },
    end: () => {},
  };
}
