import { createHash, randomUUID } from 'node:crypto';
import { type Answer, newOrganization } from './client.ts';
import type { ReplicaProcess } from './replica-process.ts';
import { type Question, Timeline } from './timeline.ts';

/** A look-up that takes longer is given up with a 503; a little less, for the clocks that it is measured by. */
const LOOKUP_LIMIT_MS = 740;
const PROVIDERS = ['anthropic', 'openai'];

/** The item that an arbitrary number means. */
export const at = <T>(list: readonly T[], index: number): T => {
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
export class Undecided extends Error {}

/** One organisation, everything that was done to it, and every answer that it gave. */
export class Story {
  readonly wrong: string[] = [];
  readonly #org = newOrganization();
  readonly #keys: Key[] = [];
  readonly #providers: Timeline<string>;
  /** What is revealed of each provider, or why nothing is. */
  readonly #secrets: Map<string, Timeline<string>>;
  readonly #requests: Promise<void>[] = [];
  readonly #replicas: readonly ReplicaProcess[];
  readonly #leaseMs: number;

  constructor(replicas: readonly ReplicaProcess[], leaseMs: number) {
    this.#replicas = replicas;
    this.#leaseMs = leaseMs;
    this.#providers = new Timeline('', leaseMs);
    this.#secrets = new Map(PROVIDERS.map((name) => [name, new Timeline('provider_key_not_found', leaseMs)]));
  }

  async issue(replica: number): Promise<void> {
    const answer = await this.#change(replica, 'POST', '/internal/api-keys', { clerkOrgId: this.#org });
    // Nobody can have asked for it before, so that it is known everywhere at once.
    this.#keys.push({ ...answer.body, state: new Timeline('valid', this.#leaseMs) });
  }

  /** A key that is asked for before it is there. */
  async import(): Promise<void> {
    const key = {
      key: `legacy-${randomUUID()}`,
      id: randomUUID(),
      state: new Timeline('api_key_invalid', this.#leaseMs),
    };
    this.#keys.push(key);
    for (const replica of [0, 1]) this.#validate(replica, key);
    await Promise.all(this.#requests);
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
    await this.#timed([[state, 'api_key_revoked']], replica, () => this.#change(replica, 'DELETE', path));
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
    const secret = randomUUID();
    const changes: [Timeline<string>, string][] = [[this.#providers, next.join(' ')]];
    const ofProvider = this.#secrets.get(provider);
    if (ofProvider !== undefined) changes.push([ofProvider, removes ? 'provider_key_not_found' : secret]);
    await this.#timed(changes, replica, () =>
      removes
        ? this.#change(replica, 'DELETE', `/internal/keys/${provider}?clerkOrgId=${this.#org}`)
        : this.#change(replica, 'POST', '/internal/keys', { clerkOrgId: this.#org, provider, apiKey: secret }),
    );
  }

  /** Asks both replicas for every key, and for what it may reveal, and does not wait. */
  ask(): void {
    for (const key of this.#keys) for (const replica of [0, 1]) this.#validate(replica, key);
    const [first] = this.#keys;
    if (first === undefined) return;
    for (const provider of PROVIDERS) for (const replica of [0, 1]) this.#reveal(replica, first, provider);
  }

  async answered(): Promise<void> {
    await Promise.all(this.#requests);
  }

  #validate(replica: number, key: Key): void {
    this.#request(replica, key, '/validate', ({ body }, question) =>
      this.#expect(body.configuredProviders.join(' '), this.#providers.allowed(question), replica),
    );
  }

  #reveal(replica: number, key: Key, provider: string): void {
    this.#request(replica, key, `/validate/keys/${provider}`, ({ status, body }, question) =>
      this.#expect(
        status === 200 ? body.key : body.code,
        this.#secrets.get(provider)?.allowed(question) ?? [],
        replica,
      ),
    );
  }

  /** @param judge what a key that is good is told */
  #request(replica: number, { key, state }: Key, path: string, judge: (answer: Answer, question: Question) => void) {
    const askedAt = performance.now();
    const judged = (answer: Answer) => {
      const question = { replica, askedAt, answeredAt: performance.now() };
      if (answer.status === 503 && question.answeredAt - askedAt >= LOOKUP_LIMIT_MS) return;
      const good = answer.status === 200 || answer.status === 404;
      this.#expect(good ? 'valid' : answer.body.code, state.allowed(question), replica);
      if (good) judge(answer, question);
    };
    this.#requests.push(at(this.#replicas, replica).asHolder(key, path).then(judged));
  }

  #expect(outcome: string, allowed: string[], replica: number): void {
    if (allowed.includes(outcome)) return;
    this.wrong.push(`replica ${replica} answered ${outcome}, where only ${allowed.join(' or ')} was allowed`);
  }

  /** Asks while something changes, and again as soon as that was answered. */
  async #timed(changes: [Timeline<string>, string][], author: number | 'sql', change: () => Promise<unknown>) {
    const asked = { author, askedAt: performance.now(), answeredAt: Number.POSITIVE_INFINITY };
    const versions = changes.map(([timeline, value]) => timeline.changed({ value, ...asked }));
    this.ask();
    await change();
    for (const version of versions) version.answeredAt = performance.now();
    this.ask();
  }

  #sql(timeline: Timeline<string>, value: string, statement: string): Promise<void> {
    return this.#timed([[timeline, value]], 'sql', () => at(this.#replicas, 0).sql(statement));
  }

  async #change(replica: number, method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await at(this.#replicas, replica).asService(method, path, body);
    if (answer.status === 503) throw new Undecided();
    if (answer.status >= 400) throw new Error(`${method} ${path} answered ${answer.text}`);
    return answer;
  }
}
