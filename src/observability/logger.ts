import { type Logger as PinoLogger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config.ts';

export type Logger = Pick<PinoLogger, 'info' | 'warn' | 'error' | 'fatal'>;

/**
 * One line per event: readable on a terminal, JSON elsewhere. Every field is named by whoever logs; requests, headers
 * and errors are never handed over whole, so that there is nothing to redact.
 */
export function createLogger(
  { logLevel }: Pick<Config, 'logLevel'>,
  output: NodeJS.WritableStream & { isTTY?: boolean } = process.stdout,
  /** On every line. */
  fields: Record<string, number> = {},
): Logger {
  const options = {
    level: logLevel,
    base: { service: 'key-service', ...fields },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  // A log that nobody reads any more, or a disk that is full, must not end the service; lines are lost until it is back.
  output.on('error', () => {});
  if (output.isTTY !== true) return pino(options, output);
  return pino(
    options,
    pretty({
      destination: output,
      colorize: true,
      singleLine: true,
      errorLikeObjectKeys: [],
      ignore: 'service,pid,hostname',
      translateTime: 'SYS:HH:MM:ss.l',
    }),
  );
}
