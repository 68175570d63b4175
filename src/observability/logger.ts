import { isatty } from 'node:tty';
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/config.ts';

export type Logger = Pick<PinoLogger, 'info' | 'warn' | 'error' | 'fatal'>;

const STANDARD_OUTPUT = 1;
/** Lines are gathered for so long, or until they are so many: a write of its own for each would cost more than the line. */
const GATHERED_MS = 100;
const GATHERED_BYTES = 2_048;
/** What a pipe takes in one piece (PIPE_BUF): lines of workers, which share it, do not get into each other. */
const WRITTEN_AT_ONCE_BYTES = 4_096;
/** Kept for a reader that is slow, or a disk that is full; what comes after that is lost. */
const KEPT_BYTES = 4 * 1024 * 1024;

export interface LoggerOptions {
  /** On every line. */
  fields?: Record<string, number>;
  output?: DestinationStream;
}

export interface FlushedLogger extends Logger {
  /** Calls back when what was said has been written, or could not be. */
  flush(done: () => void): void;
}

/**
 * One line per event: readable on a terminal, JSON elsewhere. Every field is named by whoever logs; requests, headers
 * and errors are never handed over whole, so that there is nothing to redact.
 */
export function createLogger(
  { logLevel }: Pick<Config, 'logLevel'>,
  { fields = {}, output = standardOutput() }: LoggerOptions = {},
): FlushedLogger {
  const options = {
    level: logLevel,
    base: { service: 'key-service', ...fields },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, output);
}

function standardOutput(): DestinationStream {
  return isatty(STANDARD_OUTPUT) ? terminal() : buffered(STANDARD_OUTPUT);
}

function terminal(): DestinationStream {
  // A terminal that is gone must not end the service.
  process.stdout.on('error', () => {});
  return pretty({
    destination: process.stdout,
    colorize: true,
    singleLine: true,
    errorLikeObjectKeys: [],
    ignore: 'service,pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
  });
}

/**
 * Lines are written beside the requests that they tell of: none waits for a system call or for a slow reader. pino writes
 * what is left when the process exits, however it does.
 */
function buffered(fd: number): DestinationStream {
  const destination = pino.destination({
    dest: fd,
    sync: false,
    minLength: GATHERED_BYTES,
    maxWrite: WRITTEN_AT_ONCE_BYTES,
    periodicFlush: GATHERED_MS,
    maxLength: KEPT_BYTES,
  });
  // A log that nobody reads any more, or a disk that is full, must not end the service; nor keep it from ending, which
  // the last flush would: it tries until it succeeds.
  let writable = true;
  destination.on('error', () => {
    writable = false;
  });
  destination.on('write', (bytes: number) => {
    // Nothing at all can be written to a pipe that nobody reads, and it is tried ten times a second.
    if (bytes > 0) writable = true;
  });
  const flushSync = destination.flushSync.bind(destination);
  destination.flushSync = () => {
    if (writable) flushSync();
  };
  return destination;
}
