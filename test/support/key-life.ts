import { expect } from 'vitest';
import { type Answer, type Client, newOrganization } from './client.ts';
import { at } from './replica-story.ts';

/** For what a replica learns from the database: within milliseconds, on a machine that does nothing else. */
const SOON = { timeout: 5_000, interval: 5 };
/** What is asked for, of keys whose scopes are SCOPES or anything. */
const SCOPE = 'read:orders';

/** What is done to a key of an organisation, at one of the replicas. Keys are chosen by number, among those that there are. */
export type LifeStep =
  | { does: 'create'; replica: number; expiresInMs: number | null }
  | { does: 'switch'; replica: number; which: number; enabled: boolean }
  | { does: 'restrict'; replica: number; which: number; scopes: string[] | null }
  | { does: 'expire'; replica: number; which: number; expiresInMs: number | null }
  | { does: 'rotate'; replica: number; which: number; graceSeconds: number }
  | { does: 'revoke'; replica: number; which: number };

/** All that the rules go by. */
interface ModelKey {
  id: string;
  key: string;
  revision: number;
  enabled: boolean;
  scopes: string[] | null;
  expiresAt: number | null;
  revoked: boolean;
  rotated: boolean;
}

/** It was in the future when it was sent, and no longer when it was read. */
const isOver = (instant: number | null | undefined) => instant != null && instant <= Date.now();

const isoOf = (instant: number | null) => instant && new Date(instant).toISOString();

type Replica = Pick<Client, 'asHolder' | 'asService'>;

/** The rules of a key's life, as few lines as they can be told in, and a service that is held against them. */
export class KeyLife {
  readonly #replicas: readonly Replica[];
  readonly #org = newOrganization();
  readonly #keys: ModelKey[] = [];

  constructor(replicas: readonly Replica[]) {
    this.#replicas = replicas;
  }

  /** Does one thing, and then asks both replicas about every key. */
  async take(step: LifeStep): Promise<void> {
    if (step.does === 'create') await this.#create(step);
    else if (this.#keys.length > 0) await this.#change(at(this.#keys, step.which), step);
    for (const key of this.#keys) await this.#compare(key, step.replica);
  }

  async #create({ replica, expiresInMs }: Extract<LifeStep, { does: 'create' }>): Promise<void> {
    const expiresAt = expiresInMs === null ? null : Date.now() + expiresInMs;
    const settings = { clerkOrgId: this.#org, expiresAt: isoOf(expiresAt) };
    const { status, body } = await this.#ask(replica, 'POST', '/internal/api-keys', settings);
    if (status === 400 && isOver(expiresAt)) return;
    expect(status).toBe(201);
    this.#add(body, { enabled: true, scopes: null, expiresAt });
  }

  #add({ id, key }: { id: string; key: string }, settings: Pick<ModelKey, 'enabled' | 'scopes' | 'expiresAt'>): void {
    this.#keys.push({ id, key, ...settings, revision: 1, revoked: false, rotated: false });
  }

  async #change(key: ModelKey, step: Exclude<LifeStep, { does: 'create' }>): Promise<void> {
    const path = `/internal/api-keys/${key.id}`;
    switch (step.does) {
      case 'revoke': {
        const { status } = await this.#ask(step.replica, 'DELETE', path, { clerkOrgId: this.#org });
        expect(status).toBe(200);
        if (!key.revoked) key.revision += 1;
        key.revoked = true;
        return;
      }
      case 'rotate':
        return this.#rotate(key, step);
      case 'switch':
        return this.#update(key, step.replica, { enabled: step.enabled });
      case 'restrict':
        return this.#update(key, step.replica, { scopes: step.scopes });
      case 'expire': {
        const expiresAt = step.expiresInMs === null ? null : Date.now() + step.expiresInMs;
        return this.#update(key, step.replica, { expiresAt });
      }
    }
  }

  async #update(key: ModelKey, replica: number, change: Partial<Pick<ModelKey, 'enabled' | 'scopes' | 'expiresAt'>>) {
    const { expiresAt } = change;
    const later = expiresAt === null || (expiresAt !== undefined && expiresAt > Number(key.expiresAt));
    const answer = await this.#ask(replica, 'PATCH', `/internal/api-keys/${key.id}`, {
      clerkOrgId: this.#org,
      ...change,
      ...(expiresAt === undefined ? {} : { expiresAt: isoOf(expiresAt) }),
    });
    if (answer.status === 400 && isOver(expiresAt)) return;
    if (key.revoked) return expectCode(answer, 409, 'api_key_ended');
    if (key.rotated && later) return expectCode(answer, 409, 'api_key_rotated');
    const changed = Object.entries(change).some(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(key[name as keyof ModelKey]),
    );
    Object.assign(key, change);
    if (changed) key.revision += 1;
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body).toMatchObject({ ...change, expiresAt: isoOf(key.expiresAt), revision: key.revision });
  }

  async #rotate(key: ModelKey, { replica, graceSeconds }: Extract<LifeStep, { does: 'rotate' }>): Promise<void> {
    const askedAt = Date.now();
    const answer = await this.#ask(replica, 'POST', `/internal/api-keys/${key.id}/rotate`, {
      clerkOrgId: this.#org,
      gracePeriodSeconds: graceSeconds,
    });
    if (key.revoked) return expectCode(answer, 409, 'api_key_ended');
    if (key.rotated) return expectCode(answer, 409, 'api_key_rotated');
    const { expiresAt } = key;
    if (expiresAt !== null && expiresAt <= askedAt) return expectCode(answer, 409, 'api_key_ended');
    // It expired while it was asked for, and either is right.
    if (expiresAt !== null && expiresAt <= Date.now() && answer.status === 409) return;
    expect(answer.status, answer.text).toBe(201);
    const { enabled, scopes } = key;
    this.#add(answer.body, { enabled, scopes, expiresAt });
    key.rotated = true;
    key.revision += 1;
    key.revoked = graceSeconds === 0;
    if (key.revoked) return;
    const end = Date.parse(answer.body.previous.expiresAt);
    const [earliest, latest] = [askedAt, Date.now()].map((instant) =>
      Math.min(expiresAt ?? Number.POSITIVE_INFINITY, instant + graceSeconds * 1_000),
    );
    expect(end).toBeGreaterThanOrEqual(Number(earliest));
    // The database rounds to the nearest millisecond.
    expect(end).toBeLessThanOrEqual(Number(latest) + 1);
    key.expiresAt = end;
  }

  /** Who made a change knows of it by its answer, the other one soon after. */
  async #compare(key: ModelKey, author: number): Promise<void> {
    const here = await this.#validated(author, key);
    expect(here.allowed, `replica ${author}, key ${this.#keys.indexOf(key)}`).toContain(here.code);
    await expect
      .poll(async () => {
        const { code, allowed } = await this.#validated(1 - author, key);
        return allowed.includes(code) ? 'as it should be' : code;
      }, SOON)
      .toBe('as it should be');
  }

  async #validated(replica: number, key: ModelKey): Promise<{ code: string; allowed: string[] }> {
    const askedAt = Date.now();
    const { status, body } = await at(this.#replicas, replica).asHolder(key.key, `/validate?scope=${SCOPE}`);
    return { code: status === 200 ? 'valid' : body.code, allowed: [codeAt(key, askedAt), codeAt(key, Date.now())] };
  }

  #ask(replica: number, method: string, path: string, body: unknown): Promise<Answer> {
    return at(this.#replicas, replica).asService(method, path, body);
  }
}

function codeAt({ revoked, expiresAt, enabled, scopes }: ModelKey, instant: number): string {
  if (revoked) return 'api_key_revoked';
  if (expiresAt !== null && expiresAt <= instant) return 'api_key_expired';
  if (!enabled) return 'api_key_disabled';
  return scopes === null || scopes.includes(SCOPE) ? 'valid' : 'insufficient_scope';
}

function expectCode({ status, body }: Answer, expectedStatus: number, code: string): void {
  expect({ status, code: body.code }).toEqual({ status: expectedStatus, code });
}
