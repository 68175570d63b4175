import { type DataKey, open, type SecretPlace, seal } from '../encryption/sealed-secret.ts';
import { type ErrorCode, ServiceError } from '../errors.ts';
import type { Answer } from '../http/idempotency.ts';
import { PreparedJson } from '../prepared-json.ts';

/** How an answer rests, sealed: what was replied, or what a refusal said. */
type Written =
  | { status: number; headers?: Record<string, string>; body: unknown }
  | { code: ErrorCode; detail: string };

/** Where a kept answer opens: in the row of its own request. */
export function placeOf(scope: Buffer): SecretPlace {
  return {
    purpose: 'idempotent-reply',
    organizationId: null,
    provider: '',
    rowId: scope.toString('hex'),
    secretVersion: 1,
  };
}

export function sealAnswer(dataKey: DataKey, scope: Buffer, answer: Answer): Buffer {
  return seal(dataKey, placeOf(scope), JSON.stringify(write(answer)));
}

/** @throws DecryptionError */
export function openAnswer(dataKey: DataKey, scope: Buffer, sealed: Buffer): Answer {
  const written = JSON.parse(open(dataKey, placeOf(scope), sealed)) as Written;
  return 'code' in written ? { refusal: new ServiceError(written.code, written.detail) } : { reply: written };
}

function write(answer: Answer): Written {
  if ('refusal' in answer) return { code: answer.refusal.code, detail: answer.refusal.detail };
  const { body, ...reply } = answer.reply;
  return { ...reply, body: body instanceof PreparedJson ? JSON.parse(body.text) : body };
}
