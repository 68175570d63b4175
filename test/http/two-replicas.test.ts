import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, newOrganization } from '../support/client.ts';
import { startService, type TestService } from '../support/service.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { Timeline } from '../support/timeline.ts';

const LEASE_MS = 300;
/** A look-up that takes longer is given up with a 503; a little less, for the clocks that it is measured by. */
const LOOKUP_LIMIT_MS = 740;
/** Of the property; a failure names the seed that finds the same steps again. */
const RUNS = 12;
const PROVIDERS = ['anthropic', 'openai'];

const replicas: TestService[] = [];
const feeds: TcpProxy[] = [];
beforeAll(async () => {
  for (let n = 0; n < 2; n += 1) {
    const [replicaOf] = replicas;
    const service = await startService({
      environment: { CACHE_LEASE_MS: String(LEASE_MS) },
      ...(replicaOf === undefined ? {} : { replicaOf }),
      async leadChangeFeed(url) {
        const proxy = await startTcpProxy(url);
        feeds.push(proxy);
        return proxy.through(url);
      },
    });
    replicas.push(service);
  }
});
afterAll(async () => {
  for (const replica of replicas.toReversed()) await replica.stop();
  for (const feed of feeds) await feed.close();
});

const at = <T>(list: readonly T[], index: number): T => {
  const item = list[index % list.length];
  if (item === undefined) throw new Error('Nothing to choose from');
  return item;
};

interface Key {
  key: string;
  id: string;
  state: Timeline<string>;
}

/** A change was answered 503: whether it happened is nobody's knowledge, and the run says nothing any more. */
class Unknown extends Error {}

/** One organisation, everything that was done to it, and every answer that it gave. */
class Story {
  readonly wrong: string[] = [];
  readonly #org = newOrganization();
  readonly #keys: Key[] = [];
  readonly #providers = new Timeline<string>('', LEASE_MS);
  readonly #validations: Promise<void>[] = [];

  async issue(replica: number): Promise<void> {
    const answer = await this.#change(replica, 'POST', '/internal/api-keys', { clerkOrgId: this.#org });
    // Nobody can have asked for it before, so that it is known everywhere at once.
    this.#keys.push({ ...answer.body, state: new Timeline('valid', LEASE_MS) });
  }

  /** A key that is asked for before it is there. */
  async import(): Promise<void> {
    const key = { key: `legacy-${randomUUID()}`, id: randomUUID(), state: new Timeline('api_key_invalid', LEASE_MS) };
    this.#keys.push(key);
    for (const replica of [0, 1]) this.#validate(replica, key);
    await Promise.all(this.#validations);
    const hash = createHash('sha256').update(key.key).digest('hex');
    await this.#sql(
      key.state,
      'valid',
      `insert into key_service.api_keys (id, organization_id, key_hash, key_prefix, last4, environment)
       select '${key.id}', id, '\\x${hash}', 'legacy-', 'last', 'live'
       from key_service.organizations where clerk_org_id = '${this.#org}'`,
    );
  }

  async revoke(replica: number, which: number): Promise<void> {
    const { id, state } = at(this.#keys, which);
    const path = `/internal/api-keys/${id}?clerkOrgId=${this.#org}`;
    await this.#timed(state, 'api_key_revoked', replica, () => this.#change(replica, 'DELETE', path));
  }

  async switch(which: number): Promise<void> {
    const { id, state } = at(this.#keys, which);
    if (state.newest === 'api_key_revoked') return;
    const on = state.newest !== 'valid';
    const statement = `update key_service.api_keys set enabled = ${on} where id = '${id}'`;
    await this.#sql(state, on ? 'valid' : 'api_key_disabled', statement);
  }

  async provider(replica: number, which: number): Promise<void> {
    const provider = at(PROVIDERS, which);
    const has = (this.#providers.newest ?? '').split(' ').filter((name) => name !== '');
    const removes = has.includes(provider);
    const next = removes ? has.filter((name) => name !== provider) : [...has, provider].toSorted();
    await this.#timed(this.#providers, next.join(' '), replica, () =>
      removes
        ? this.#change(replica, 'DELETE', `/internal/keys/${provider}?clerkOrgId=${this.#org}`)
        : this.#change(replica, 'POST', '/internal/keys', { clerkOrgId: this.#org, provider, apiKey: randomUUID() }),
    );
  }

  /** Asks both replicas for every key, and does not wait. */
  validate(): void {
    for (const key of this.#keys) for (const replica of [0, 1]) this.#validate(replica, key);
  }

  async answered(): Promise<void> {
    await Promise.all(this.#validations);
  }

  #validate(replica: number, key: Key): void {
    const askedAt = performance.now();
    const judge = ({ status, body }: Answer) => {
      const question = { replica, askedAt, answeredAt: performance.now() };
      const outcome = status === 200 ? 'valid' : body.code;
      if (status === 503 && question.answeredAt - askedAt >= LOOKUP_LIMIT_MS) return;
      this.#expect(outcome, key.state.allowed(question), replica);
      if (status === 200) this.#expect(body.configuredProviders.join(' '), this.#providers.allowed(question), replica);
    };
    this.#validations.push(at(replicas, replica).asHolder(key.key, '/validate').then(judge));
  }

  #expect(outcome: string, allowed: string[], replica: number): void {
    if (allowed.includes(outcome)) return;
    this.wrong.push(`replica ${replica} answered ${outcome}, where only ${allowed.join(' or ')} was allowed`);
  }

  /** Validates while something changes, and again as soon as that was answered. */
  async #timed(timeline: Timeline<string>, value: string, author: number | 'sql', change: () => Promise<unknown>) {
    const version = { value, author, askedAt: performance.now(), answeredAt: Number.POSITIVE_INFINITY };
    timeline.changed(version);
    this.validate();
    await change();
    version.answeredAt = performance.now();
    this.validate();
  }

  #sql(timeline: Timeline<string>, value: string, statement: string): Promise<void> {
    return this.#timed(timeline, value, 'sql', () => at(replicas, 0).sql(statement));
  }

  async #change(replica: number, method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await at(replicas, replica).asService(method, path, body);
    if (answer.status === 503) throw new Unknown();
    if (answer.status >= 400) throw new Error(`${method} ${path} answered ${answer.text}`);
    return answer;
  }
}

const replica = fc.nat({ max: 1 });
const which = fc.nat({ max: 5 });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant('issue' as const), replica }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('import' as const) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('revoke' as const), replica, which }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('switch' as const), which }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('provider' as const), replica, which }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('validate' as const) }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('wait' as const), ms: fc.nat({ max: LEASE_MS * 1.5 }) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('stall' as const, 'cut' as const), replica }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('resume' as const), replica }) },
);

async function take(story: Story, doing: typeof step extends fc.Arbitrary<infer Step> ? Step : never): Promise<void> {
  switch (doing.does) {
    case 'issue':
      return story.issue(doing.replica);
    case 'import':
      return story.import();
    case 'revoke':
      return story.revoke(doing.replica, doing.which);
    case 'switch':
      return story.switch(doing.which);
    case 'provider':
      return story.provider(doing.replica, doing.which);
    case 'validate':
      return story.validate();
    case 'wait':
      await sleep(doing.ms);
      return story.validate();
    default:
      at(feeds, doing.replica)[doing.does]();
  }
}

describe('two replicas on one database, whatever becomes of their change feeds', () => {
  it('answer what is so, or was within the lease, and their own changes at once', async () => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 30 }), async (steps) => {
      const story = new Story();
      try {
        await story.issue(0);
        for (const doing of steps) await take(story, doing);
      } catch (error) {
        if (!(error instanceof Unknown)) throw error;
      } finally {
        for (const feed of feeds) feed.resume();
      }
      story.validate();
      await sleep(LEASE_MS);
      story.validate();
      await story.answered();
      expect(story.wrong).toEqual([]);
    });
    await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
  }, 180_000);
});
