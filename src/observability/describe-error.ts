import { ServiceError } from '../errors.ts';

/** What logs and the error monitor may know of an error. */
export interface ErrorDescription {
  type: string;
  code?: string;
  context?: Record<string, string | number | boolean | null>;
  /** The innermost function of ours that it came through, such as `api-keys.api-key-store#insertApiKey:62`. */
  origin?: string;
}

/**
 * Describes an error without its message: an unexpected error's message may hold anything, a value from the request
 * or a parameter of a statement among it. Kind and origin are enough to find the line.
 */
export function describeError(error: unknown): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error };
  const origin = originOf(error);
  return {
    type: error.constructor.name,
    ...(error instanceof ServiceError ? { code: error.code } : systemCode(error)),
    ...(error instanceof ServiceError && Object.keys(error.context).length > 0 ? { context: error.context } : {}),
    ...(origin === undefined ? {} : { origin }),
  };
}

/** Node's own codes, such as ECONNREFUSED, and SQLSTATEs. */
function systemCode(error: Error): { code?: string } {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^[A-Z0-9_]{3,40}$/.test(code) ? { code } : {};
}

const OWN_FRAME = /^ {4}at (?:async )?(?:new )?(?:(\S+) )?.*[/\\](?:src|dist)[/\\]([\w/\\-]+)\.[jt]s:(\d+):\d+\)?$/;

function originOf({ stack = '', message }: Error): string | undefined {
  // A message may span lines and look like frames; the frames come after it. One that was changed since cannot be told.
  const messageAt = stack.indexOf(message);
  if (messageAt < 0) return undefined;
  const frames = stack.slice(messageAt + message.length).split('\n');
  for (const frame of frames) {
    const [, name, module, line] = OWN_FRAME.exec(frame) ?? [];
    if (module !== undefined && !frame.includes('node_modules')) {
      return `${module.replaceAll(/[/\\]/g, '.')}#${name ?? 'anonymous'}:${line}`;
    }
  }
  return undefined;
}
