import type { ChildProcess } from 'node:child_process';

interface Connection {
  close?: () => void;
}

/**
 * The primary hands a connection over to one worker at a time, and closes its own end of it when the worker has said that
 * it took it. One that is killed in between never says so, and Node keeps the connection open for good with nobody behind
 * it. With what is returned it is closed, so that its sender knows. A connection that was taken is closed here already.
 */
export function watchHandedOver(child: ChildProcess): { close(): void } {
  let last: Connection | undefined;
  const send = child.send.bind(child) as (...message: unknown[]) => boolean;
  child.send = (...message: unknown[]) => {
    const [, handle] = message;
    if (typeof handle === 'object' && handle !== null) last = handle;
    return send(...message);
  };
  return { close: () => last?.close?.() };
}
