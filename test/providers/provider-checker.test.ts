import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkerOf } from '../support/provider-checks.ts';
import { answerJson, type ProviderStandIn, startProviderStandIn } from '../support/provider-stand-in.ts';

const SECRET = 'sk-not-a-real-key';
const LIMIT_MS = 250;

let standIn: ProviderStandIn;
beforeAll(async () => {
  standIn = await startProviderStandIn();
});
afterAll(() => standIn.close());
beforeEach(() => {
  standIn.requests.length = 0;
  standIn.answer = (response) => answerJson(response, 200, { ok: true });
});

/** Slack's answers are in their bodies, OpenRouter's in their statuses. */
const gateways = () => `slack=http://127.0.0.1:${standIn.port},openrouter=http://127.0.0.1:${standIn.port}`;

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const before = performance.now();
  const result = await work();
  return { result, ms: performance.now() - before };
}

describe('a provider that does not answer in time', () => {
  it.each<[what: string, answer: ProviderStandIn['answer']]>([
    ['is silent', () => {}],
    ['sends its headers and nothing more', (response) => void response.writeHead(200).flushHeaders()],
    ['sends its body byte by byte', (response) => drip(response.writeHead(200), ' ')],
    ['sends half of its body', (response) => void response.writeHead(200).write('{"ok":')],
  ])('is unreachable within the limit when it %s', async (_what, answer) => {
    standIn.answer = answer;
    const checker = checkerOf(gateways(), { limitMs: LIMIT_MS });
    const { result, ms } = await timed(() => checker.check('slack', SECRET));
    expect(result).toBe('unreachable');
    expect(checker.facts).toEqual([{ provider: 'slack', outcome: 'unreachable', reason: 'time_limit' }]);
    expect(ms).toBeLessThan(LIMIT_MS + 500);
  });

  it('is unreachable within the limit when its name is not resolved', async () => {
    const checker = checkerOf('', { limitMs: LIMIT_MS, resolve: () => new Promise(() => {}) });
    const { result, ms } = await timed(() => checker.check('openrouter', SECRET));
    expect(result).toBe('unreachable');
    expect(checker.facts).toMatchObject([{ reason: 'time_limit' }]);
    expect(ms).toBeLessThan(LIMIT_MS + 500);
  });

  it('is unreachable in less than two seconds when no limit is set', async () => {
    standIn.answer = () => {};
    const { result, ms } = await timed(() => checkerOf(gateways()).check('slack', SECRET));
    expect(result).toBe('unreachable');
    expect(ms).toBeGreaterThan(1_000);
    expect(ms).toBeLessThan(1_900);
  });

  it('is waited for no longer than its status, where that decides', async () => {
    standIn.answer = (response) => void response.writeHead(200).flushHeaders();
    const { result, ms } = await timed(() => checkerOf(gateways()).check('openrouter', SECRET));
    expect(result).toBe('valid');
    expect(ms).toBeLessThan(1_000);
  });
});

describe('a connection that breaks', () => {
  it.each<[what: string, answer: ProviderStandIn['answer']]>([
    ['before the answer', (response) => void response.socket?.destroy()],
    ['within the headers', (response) => void response.socket?.end('HTTP/1.1 200 OK\r\nContent-Ty')],
    [
      'within the body',
      (response) => void response.socket?.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"ok":true}'),
    ],
    ['for what is no HTTP', (response) => void response.socket?.end('220 ready\r\n')],
    [
      'for headers without an end',
      (response) => void response.socket?.end(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n{"ok":true}`),
    ],
    [
      'for another protocol',
      (response) =>
        void response.socket?.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    ],
  ])('%s is no answer', async (_what, answer) => {
    standIn.answer = answer;
    const checker = checkerOf(gateways(), { limitMs: 1_000 });
    expect(await checker.check('slack', SECRET)).toBe('unreachable');
    expect(checker.facts).toEqual([{ provider: 'slack', outcome: 'unreachable', reason: 'connection' }]);
  });

  it('that nobody accepts is no answer', async () => {
    const gone = await startProviderStandIn();
    await gone.close();
    const checker = checkerOf(`openrouter=http://127.0.0.1:${gone.port}`);
    expect(await checker.check('openrouter', SECRET)).toBe('unreachable');
    expect(checker.facts).toMatchObject([{ reason: 'connection' }]);
  });
});

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])('%i is not followed, and says nothing', async (status) => {
    const elsewhere = await startProviderStandIn();
    try {
      standIn.answer = (response) =>
        response.writeHead(status, { Location: `http://127.0.0.1:${elsewhere.port}/` }).end('{"ok":true}');
      const checker = checkerOf(gateways());
      for (const provider of ['slack', 'openrouter']) {
        expect(await checker.check(provider, SECRET)).toBe('unreachable');
        expect(checker.facts.at(-1)).toMatchObject({ reason: 'unexpected_answer', status });
      }
      expect(elsewhere.connections).toBe(0);
    } finally {
      await elsewhere.close();
    }
  });
});

describe('a body', () => {
  it.each<[what: string, answer: ProviderStandIn['answer']]>([
    ['too long', (response) => answerJson(response, 200, { ok: true, filling: 'x'.repeat(64 * 1024) })],
    ['endless', (response) => drip(response.writeHead(200), 'x'.repeat(16 * 1024))],
    [
      'compressed',
      (response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(Buffer.from([31, 139, 8])),
    ],
    ['no JSON', (response) => response.writeHead(200).end('ok')],
    ['empty', (response) => response.writeHead(200).end()],
  ])('that is %s decides nothing', async (_what, answer) => {
    standIn.answer = answer;
    const checker = checkerOf(gateways());
    expect(await checker.check('slack', SECRET)).toBe('unreachable');
    expect(checker.facts).toMatchObject([{ reason: 'unexpected_answer', status: 200 }]);
  });

  it('is no matter where the status decides, however long it is', async () => {
    standIn.answer = (response) => drip(response.writeHead(401), 'x'.repeat(16 * 1024));
    expect(await checkerOf(gateways()).check('openrouter', SECRET)).toBe('rejected');
  });
});

describe('a key', () => {
  it.each(['a\r\nX-Injected: yes', 'a\nb', 'a\0b', 'a b', 'a\tb', 'clé', 'ключ', '\u{1F511}', '\x7f', ''])(
    'that no header carries as it is was not checked, and not sent: %j',
    async (secret) => {
      expect(await checkerOf(gateways()).check('openrouter', secret)).toBe('unchecked');
      expect(standIn.requests).toEqual([]);
    },
  );

  it.each(['$&', '$1$$', "$`$'", '{key}', '%0d%0aX-Injected:%20yes', '"\\', 'a,b;c=d', 'x'.repeat(8_192)])(
    'arrives as it is, whatever it holds: %s',
    async (secret) => {
      expect(await checkerOf(gateways()).check('openrouter', secret)).toBe('valid');
      expect(standIn.requests[0]?.headers.authorization).toBe(`Bearer ${secret}`);
    },
  );

  it('is told to nobody, whatever the check comes to', async () => {
    const checker = checkerOf(gateways(), { limitMs: LIMIT_MS });
    for (const answer of [() => {}, (response) => answerJson(response, 401, {})] as ProviderStandIn['answer'][]) {
      standIn.answer = answer;
      await checker.check('openrouter', SECRET);
    }
    expect(checker.facts).toHaveLength(2);
    expect(JSON.stringify(checker.facts)).not.toContain(SECRET);
  });
});

describe('many checks', () => {
  it('are made sixteen at a time, each on a connection of its own', async () => {
    let underWay = 0;
    let most = 0;
    standIn.answer = async (response) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await sleep(30);
      underWay -= 1;
      answerJson(response, 200, { ok: true });
    };
    const connectionsBefore = standIn.connections;
    const checker = checkerOf(gateways());
    const outcomes = await Promise.all(Array.from({ length: 48 }, () => checker.check('slack', SECRET)));
    expect(new Set(outcomes)).toEqual(new Set(['valid']));
    expect(most).toBe(16);
    expect(standIn.connections - connectionsBefore).toBe(48);
  });

  it('do not wait without end or number for a provider that is silent', async () => {
    standIn.answer = () => {};
    const checker = checkerOf(gateways(), { limitMs: LIMIT_MS });
    const { result, ms } = await timed(() =>
      Promise.all(Array.from({ length: 100 }, () => checker.check('slack', SECRET))),
    );
    expect(ms).toBeLessThan(LIMIT_MS + 1_000);
    expect(standIn.requests).toHaveLength(16);
    expect(result.filter((outcome) => outcome === 'unreachable')).toHaveLength(16);
    // Those whose turn did not come have asked nobody, and know nothing of the provider; nor do those that could not wait.
    expect(result.filter((outcome) => outcome === 'busy')).toHaveLength(64 + 20);
    const facts = checker.facts.map(({ outcome, reason }) => `${outcome} ${reason}`);
    expect(new Set(facts.slice(0, 20))).toEqual(new Set(['busy undefined']));
    expect(facts.filter((fact) => fact === 'unreachable time_limit')).toHaveLength(16);
    standIn.answer = (response) => answerJson(response, 200, { ok: true });
    expect(await checker.check('slack', SECRET)).toBe('valid');
  });

  it('of one silent provider leave the others theirs', async () => {
    const gateway = await startProviderStandIn();
    gateway.answer = () => {};
    const checker = checkerOf(`openrouter=http://127.0.0.1:${gateway.port},slack=http://127.0.0.1:${standIn.port}`, {
      limitMs: LIMIT_MS,
    });
    const silent = Promise.all(Array.from({ length: 80 }, () => checker.check('openrouter', SECRET)));
    expect(await checker.check('slack', SECRET)).toBe('valid');
    await silent;
    await gateway.close();
  });

  it('go on after names were not resolved', async () => {
    let isHanging = true;
    const resolve = () => (isHanging ? new Promise<never>(() => {}) : Promise.reject(new Error('no such name')));
    const checker = checkerOf('', { limitMs: LIMIT_MS, resolve });
    await Promise.all(Array.from({ length: 20 }, () => checker.check('openrouter', SECRET)));
    isHanging = false;
    await checker.check('openrouter', SECRET);
    expect(checker.facts.at(-1)).toMatchObject({ reason: 'not_resolved' });
  });
});

/** Sends the same again and again, until nobody listens. */
function drip(
  response: { write(text: string): unknown; once(event: 'close', listener: () => void): unknown },
  text: string,
) {
  const timer = setInterval(() => response.write(text), 5);
  response.once('close', () => clearInterval(timer));
}
