import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey } from '../../src/key-format.ts';
import { auditorOf, listEvents } from '../support/audit.ts';
import { newOrganization } from '../support/client.ts';
import { keyFromElsewhere } from '../support/imported-keys.ts';
import { expectInvalid, expectProblem } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';

const MOST = 1_000;
const MEBIBYTE = 1024 * 1024;

let service: TestService;
let other: TestService;
beforeAll(async () => {
  service = await startService();
  other = await startService({ beside: service });
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});

const importKeys = (keys: unknown, replica: TestService = service) =>
  replica.asService('POST', '/internal/api-keys/import', { keys });
const listed = async (org: string) =>
  (await service.asService('GET', `/internal/api-keys?clerkOrgId=${org}`)).body.keys as Record<string, unknown>[];
const codeOf = async (key: string, replica: TestService = service) => {
  const { status, body } = await replica.asHolder(key, '/validate');
  return status === 200 ? 'valid' : body.code;
};
const codesOf = async (...keys: string[]) => {
  const codes = [];
  for (const key of keys) codes.push(await codeOf(key));
  return codes;
};
const countKeys = async () => {
  const [row] = await service.sql<{ count: string }>('select count(*) from key_service.api_keys');
  return Number(row?.count);
};
async function expectNothingImported(run: () => Promise<void>) {
  const before = await countKeys();
  await run();
  expect(await countKeys()).toBe(before);
}

describe('POST /internal/api-keys/import', () => {
  describe('200', () => {
    it('takes over keys of any form, which are valid as they are and whose they were said to be', async () => {
      const org = newOrganization();
      const keys = [
        keyFromElsewhere('sk_old_123'),
        keyFromElsewhere(`${'long-'.repeat(1_500)}key`),
        keyFromElsewhere('with:every/kind+of=printable~character!"#$%&()*,;<>?@[]^`{|}'),
        keyFromElsewhere(generateKey('other', 'live').key),
        keyFromElsewhere(generateKey('ks', 'test').key),
      ];
      const { status, body } = await importKeys(keys.map(({ hex }) => ({ clerkOrgId: org, sha256: hex })));
      expect({ status, ...body }).toEqual({
        status: 200,
        imported: 5,
        duplicates: 0,
        results: keys.map(() => ({ status: 'imported', id: expect.stringMatching(/^[0-9a-f-]{36}$/) })),
      });
      for (const [place, { key }] of keys.entries()) {
        const answer = await service.asHolder(key, '/validate');
        expect(answer.body).toMatchObject({
          valid: true,
          clerkOrgId: org,
          apiKey: { id: body.results[place].id, environment: 'live', scopes: null, metadata: {} },
        });
      }
    });

    it('reads hashes in hexadecimal of either case, and in base64 of either alphabet, padded or not', async () => {
      const org = newOrganization();
      const keys = Array.from({ length: 5 }, () => keyFromElsewhere());
      const forms = keys.map(({ hex, base64 }, place) =>
        [
          hex,
          hex.toUpperCase(),
          base64,
          base64.replace('=', ''),
          base64.replaceAll('+', '-').replaceAll('/', '_').replace('=', ''),
        ].at(place),
      );
      const { body } = await importKeys(forms.map((sha256) => ({ clerkOrgId: org, sha256 })));
      expect(body).toMatchObject({ imported: 5, duplicates: 0 });
      for (const { key } of keys) expect(await codeOf(key)).toBe('valid');
    });

    it('gives them the settings that were sent, and shows of them what was sent', async () => {
      const org = newOrganization();
      const [full, bare, off] = [keyFromElsewhere(), keyFromElsewhere(), keyFromElsewhere()];
      const settings = {
        name: 'From the old system',
        environment: 'test',
        enabled: true,
        expiresAt: '2040-01-01T00:00:00.000Z',
        scopes: ['read:orders'],
        metadata: { plan: 'gold' },
        rateLimit: { limit: 100, windowSeconds: 60 },
        keyPrefix: 'sk_old_',
        last4: full.key.slice(-4),
      };
      const { body } = await importKeys([
        { clerkOrgId: org, sha256: full.hex, ...settings },
        { clerkOrgId: org, sha256: bare.hex },
        { clerkOrgId: org, sha256: off.hex, enabled: false, name: null },
      ]);
      const [fullId, bareId, offId] = body.results.map(({ id }: { id: string }) => id);
      const byId = new Map((await listed(org)).map((item) => [item['id'], item]));
      expect(byId.get(fullId)).toMatchObject({ ...settings, status: 'active' });
      expect(byId.get(bareId)).toMatchObject({
        ...{ name: null, environment: 'live', enabled: true, expiresAt: null, scopes: null, metadata: {} },
        ...{
          rateLimit: null,
          keyPrefix: '',
          last4: '',
          lastUsedAt: null,
          revokedAt: null,
          rotatedFrom: null,
          rotatedTo: null,
        },
      });
      expect(byId.get(offId)).toMatchObject({ enabled: false, status: 'disabled' });
      expect(await codeOf(off.key)).toBe('api_key_disabled');
      expect((await service.asHolder(full.key, '/validate?scope=read:orders')).status).toBe(200);
      expect((await service.asHolder(full.key, '/validate?scope=write:orders')).status).toBe(403);
    });

    it('gives them usage limits, on record, and none to a duplicate', async () => {
      const org = newOrganization();
      const [limited, filled, free] = [keyFromElsewhere(), keyFromElsewhere(), keyFromElsewhere()];
      const refill = { amount: 5, interval: 'day' };
      const keys = [
        { clerkOrgId: org, sha256: limited.hex, remainingUses: 2 },
        { clerkOrgId: org, sha256: filled.hex, remainingUses: 0, refill },
        { clerkOrgId: org, sha256: free.hex, remainingUses: null },
        { clerkOrgId: org, sha256: limited.base64, remainingUses: 7 },
      ];
      const { body } = await importKeys(keys);
      const byId = new Map((await listed(org)).map((item) => [item['id'], item]));
      const shown = body.results.slice(0, 3).map(({ id }: { id: string }) => byId.get(id));
      expect(shown).toMatchObject([
        { remainingUses: 2, refill: null },
        { remainingUses: 0, refill },
        { remainingUses: null, refill: null },
      ]);
      expect(await codesOf(limited.key, limited.key, limited.key)).toEqual(['valid', 'valid', 'usage_exceeded']);
      expect(await codesOf(filled.key, free.key)).toEqual(['usage_exceeded', 'valid']);
      expect((await importKeys(keys)).body).toMatchObject({ imported: 0, duplicates: 4 });
      expect(await codesOf(limited.key)).toEqual(['usage_exceeded']);
      const { events } = await listEvents(service, { clerkOrgId: org });
      expect(events.find(({ target }) => target.id === body.results[1].id)?.details).toMatchObject({
        remainingUses: 0,
        refillAmount: 5,
        refillInterval: 'day',
      });
    });

    it('makes keys that are changed, rotated and revoked like any other', async () => {
      const org = newOrganization();
      const { key, hex } = keyFromElsewhere();
      const { body } = await importKeys([{ clerkOrgId: org, sha256: hex, name: 'Old' }]);
      const path = `/internal/api-keys/${body.results[0].id}`;
      expect((await service.asService('PATCH', path, { clerkOrgId: org, name: 'New' })).body.name).toBe('New');
      const rotated = await service.asService('POST', `${path}/rotate`, { clerkOrgId: org, gracePeriodSeconds: 60 });
      expect(rotated.body).toMatchObject({ name: 'New', keyPrefix: expect.stringMatching(/^ks_live_/) });
      expect([await codeOf(key), await codeOf(rotated.body.key)]).toEqual(['valid', 'valid']);
      await service.asService('DELETE', `${path}?clerkOrgId=${org}`);
      expect([await codeOf(key), await codeOf(rotated.body.key)]).toEqual(['api_key_revoked', 'valid']);
    });

    it('reports a hash that is known as a duplicate, and changes nothing of that key, whosever it is', async () => {
      const [org, theirs] = [newOrganization(), newOrganization()];
      const issued = await service.issueKey(theirs, { name: 'Theirs' });
      const [known, revoked, fresh] = [keyFromElsewhere(), keyFromElsewhere(), keyFromElsewhere()];
      const first = await importKeys([
        { clerkOrgId: org, sha256: known.hex, name: 'First' },
        { clerkOrgId: org, sha256: revoked.hex },
      ]);
      await service.asService('DELETE', `/internal/api-keys/${first.body.results[1].id}?clerkOrgId=${org}`);
      const again = [keyFromElsewhere(issued.key), known, revoked];
      const { status, body } = await importKeys([
        ...again.map(({ base64 }) => ({ clerkOrgId: org, sha256: base64, name: 'Second' })),
        { clerkOrgId: org, sha256: fresh.base64, name: 'Second' },
      ]);
      const duplicate = { status: 'duplicate' };
      expect({ status, ...body }).toEqual({
        status: 200,
        imported: 1,
        duplicates: 3,
        results: [duplicate, duplicate, duplicate, { status: 'imported', id: expect.any(String) }],
      });
      expect((await listed(org)).map(({ name }) => name)).toEqual(['Second', 'First']);
      expect((await listed(theirs)).map(({ name }) => name)).toEqual(['Theirs']);
      expect(await codeOf(revoked.key)).toBe('api_key_revoked');
      const { body: validated } = await service.asHolder(issued.key, '/validate');
      expect(validated.clerkOrgId).toBe(theirs);
    });

    it('takes the first of several items with one hash, in whatever form it is written', async () => {
      const [org, late] = [newOrganization(), newOrganization()];
      const { key, hex, base64 } = keyFromElsewhere();
      const { body } = await importKeys([
        { clerkOrgId: org, sha256: hex },
        { clerkOrgId: late, sha256: base64 },
        { clerkOrgId: org, sha256: hex.toUpperCase() },
      ]);
      expect(body).toMatchObject({
        imported: 1,
        duplicates: 2,
        results: [{ status: 'imported' }, { status: 'duplicate' }, { status: 'duplicate' }],
      });
      expect((await service.asHolder(key, '/validate')).body.clerkOrgId).toBe(org);
      expect(await listed(late)).toEqual([]);
    });

    it('refuses no longer, on any replica, a key that was asked for and unknown before', async () => {
      const keys = Array.from({ length: 20 }, () => keyFromElsewhere());
      for (const replica of [service, other]) {
        for (const { key } of keys) expect(await codeOf(key, replica)).toBe('api_key_invalid');
      }
      const org = newOrganization();
      await importKeys(keys.map(({ hex }) => ({ clerkOrgId: org, sha256: hex })));
      for (const { key } of keys) expect(await codeOf(key)).toBe('valid');
      await expect.poll(async () => codeOf(keys.at(-1)?.key ?? '', other), { interval: 5 }).toBe('valid');
      for (const { key } of keys) expect(await codeOf(key, other)).toBe('valid');
    });

    it('is done once when two replicas import the same keys at the same time, in opposite orders', async () => {
      for (let round = 0; round < 5; round += 1) {
        const orgs = Array.from({ length: 10 }, newOrganization);
        const items = Array.from({ length: 100 }, (_, place) => ({
          clerkOrgId: orgs[place % orgs.length],
          sha256: keyFromElsewhere().hex,
        }));
        const answers = await Promise.all([
          importKeys(items),
          importKeys(items.toReversed(), other),
          importKeys(items.slice(50), other),
        ]);
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
        expect(answers.reduce((sum, { body }) => sum + body.imported, 0)).toBe(100);
        const lengths = await Promise.all(orgs.map(async (org) => (await listed(org)).length));
        expect(lengths).toEqual(orgs.map(() => 10));
      }
    });

    it('takes 1,000 keys of as many organisations, each recorded in the chain of its own, and a body of 1 MiB', async () => {
      const items = Array.from({ length: MOST }, () => ({
        clerkOrgId: newOrganization(),
        sha256: keyFromElsewhere().hex,
        scopes: ['read:orders'],
        metadata: { text: '' },
      }));
      const fill = Math.floor((MEBIBYTE - JSON.stringify({ keys: items }).length) / MOST);
      for (const item of items) item.metadata.text = 'x'.repeat(fill);
      const text = JSON.stringify({ keys: items });
      const answer = await service.asService('POST', '/internal/api-keys/import', text.padEnd(MEBIBYTE));
      expect({ status: answer.status, imported: answer.body.imported }).toEqual({ status: 200, imported: MOST });
      const [{ clerkOrgId }] = items as [(typeof items)[0]];
      const { events } = await listEvents(service, { clerkOrgId });
      expect(events).toMatchObject([
        {
          action: 'api_key.imported',
          actor: { kind: 'service', name: 'root' },
          target: { type: 'api-key', id: answer.body.results[0].id },
          details: { environment: 'live', scopes: ['read:orders'], expiresAt: null, enabled: true },
        },
      ]);
      const auditor = auditorOf(service);
      expect(await auditor.faults()).toEqual([]);
      await auditor.close();
    });
  });

  describe('400', () => {
    const good = () => ({ clerkOrgId: 'org_import', sha256: keyFromElsewhere().hex });
    const hash = randomBytes(32);

    it('refuses all of it for one malformed item, and points at the field', async () => {
      const items: unknown[] = Array.from({ length: 20 }, good);
      items[17] = { ...good(), sha256: 'canary' };
      await expectNothingImported(async () => {
        const answer = await importKeys(items);
        expectInvalid(answer, '/keys/17/sha256');
        expect(answer.text).not.toContain('canary');
      });
    });

    it.each<[what: string, change: Record<string, unknown>, pointers: string[]]>([
      ['a hash that is missing', { sha256: undefined }, ['/sha256']],
      ['a hash of 31 bytes', { sha256: hash.subarray(1).toString('hex') }, ['/sha256']],
      ['a hash of 31 bytes, in base64', { sha256: hash.subarray(1).toString('base64') }, ['/sha256']],
      [
        'a hash of 33 bytes, in base64',
        { sha256: Buffer.concat([hash, hash]).subarray(31).toString('base64') },
        ['/sha256'],
      ],
      ['a hash in both alphabets', { sha256: `${'+_'.repeat(21)}A=` }, ['/sha256']],
      ['a hash with two bits too many', { sha256: `${'A'.repeat(42)}B=` }, ['/sha256']],
      ['white space in a hash', { sha256: ` ${hash.toString('hex')}` }, ['/sha256']],
      ['a hash that is a number', { sha256: 7 }, ['/sha256']],
      ['a malformed organisation', { clerkOrgId: 'org a' }, ['/clerkOrgId']],
      ['no organisation', { clerkOrgId: undefined }, ['/clerkOrgId']],
      ['a name that is too long', { name: 'n'.repeat(256) }, ['/name']],
      ['an unknown environment', { environment: 'prod' }, ['/environment']],
      ['an expiry that has passed', { expiresAt: '2020-01-01T00:00:00Z' }, ['/expiresAt']],
      ['a malformed scope', { scopes: ['read', 'UPPER'] }, ['/scopes/1']],
      ['too many scopes', { scopes: Array.from({ length: 65 }, (_, n) => `s${n}`) }, ['/scopes']],
      ['metadata that is too large', { metadata: { a: 'x'.repeat(4_096) } }, ['/metadata']],
      ['a NUL character', { name: 'a\0' }, ['/name']],
      ['a NUL character deep in metadata', { metadata: { secretName: ['\0'] } }, ['/metadata']],
      ['a start that is too long', { keyPrefix: 'x'.repeat(27) }, ['/keyPrefix']],
      ['an end that is too long', { last4: 'xxxxx' }, ['/last4']],
      ['white space in what is shown', { keyPrefix: 'a b', last4: 'é' }, ['/keyPrefix', '/last4']],
      ['a refill without a limit', { refill: { amount: 1, interval: 'day' } }, ['/refill']],
      ['the key itself', { key: 'canary' }, ['/key']],
      ['a recoverable key, which nobody has', { recoverable: true }, ['/recoverable']],
    ])('is the answer to %s', async (_what, change, pointers) => {
      await expectNothingImported(async () => {
        const answer = await importKeys([good(), { ...good(), ...change }]);
        expectInvalid(answer, ...pointers.map((pointer) => `/keys/1${pointer}`));
        expect(answer.text).not.toContain('canary');
      });
    });

    it.each([
      ['a short one', 'sk_old_123', 'sk_old_123', ''],
      ['one in two parts', 'sk_old_4567', 'sk_old_', '4567'],
      ['one whose parts overlap', 'sk_old_456', 'sk_old_4', '_456'],
      ['one that is its end', 'tiny', '', 'tiny'],
    ])('is the answer to a whole key in what is shown of it: %s', async (_what, key, keyPrefix, last4) => {
      await expectNothingImported(async () => {
        const answer = await importKeys([{ ...good(), sha256: keyFromElsewhere(key).base64, keyPrefix, last4 }]);
        expectInvalid(answer, '/keys/0/keyPrefix');
      });
    });

    it.each<[what: string, body: unknown, pointer: string]>([
      ['no keys', {}, '/keys'],
      ['an empty list', { keys: [] }, '/keys'],
      ['no list', { keys: {} }, '/keys'],
      ['an item that is no object', { keys: [7] }, '/keys/0'],
      ['a field too many', { keys: [], clerkOrgId: 'org_a' }, '/clerkOrgId'],
    ])('is the answer to a body with %s', async (what, body, pointer) => {
      const answer = await service.asService('POST', '/internal/api-keys/import', body);
      if (what === 'a field too many') expectInvalid(answer, '/keys', pointer);
      else expectInvalid(answer, pointer);
    });

    it('is the answer to more than 1,000, whatever they are', async () => {
      await expectNothingImported(async () => {
        expectInvalid(await importKeys(Array.from({ length: MOST + 1 }, good)), '/keys');
        expectInvalid(await importKeys(Array.from({ length: 300_000 }, () => ({}))), '/keys');
      });
    });

    it('names a hundred fields at most, and says how many more there are', async () => {
      const { status, body } = await importKeys(Array.from({ length: MOST }, () => ({})));
      expect(status).toBe(400);
      expect(body.errors).toHaveLength(100);
      expect(body.errors.at(-1).pointer).toBe('/keys/49/sha256');
      expect(body.detail).toBe('keys/0/clerkOrgId is required (and 1999 more).');
    });
  });

  describe('403', () => {
    it('is the answer to every service but root', async () => {
      const issued = await service.asService('POST', '/internal/service-keys', {
        name: 'importer',
        permissions: ['api-keys:read', 'api-keys:write'],
      });
      const headers = { 'X-Service-Key': issued.body.key };
      const answer = await service.request('POST', '/internal/api-keys/import', { headers, body: { keys: [] } });
      expectProblem(answer, 403, 'service_key_forbidden');
    });
  });

  describe('409', () => {
    it('is the answer where an organisation was deleted, with the first item of one, and nothing is imported', async () => {
      const [org, gone] = [newOrganization(), newOrganization()];
      await service.asService('DELETE', `/internal/organizations/${gone}`);
      const item = (clerkOrgId: string) => ({ clerkOrgId, sha256: keyFromElsewhere().hex });
      await expectNothingImported(async () => {
        const answer = await importKeys([item(org), item(org), item(gone), item(gone)]);
        expectProblem(answer, 409, 'organization_deleted');
        expect(answer.body.detail).toContain('/keys/2 ');
      });
      expect(await service.sql('select 1 from key_service.organizations where clerk_org_id = $1', [org])).toEqual([]);
    });
  });

  describe('413', () => {
    it('is the answer to one byte more than 1 MiB, and nowhere else are there more than 64 KiB', async () => {
      const text = JSON.stringify({ keys: [{ clerkOrgId: newOrganization(), sha256: keyFromElsewhere().hex }] });
      const answer = await service.asService('POST', '/internal/api-keys/import', text.padEnd(MEBIBYTE + 1));
      expectProblem(answer, 413, 'payload_too_large');
      expect(answer.body.detail).toContain('1 MiB');
      const elsewhere = await service.asService('POST', '/internal/api-keys', text.padEnd(64 * 1024 + 1));
      expectProblem(elsewhere, 413, 'payload_too_large');
      expect(elsewhere.body.detail).toContain('64 KiB');
    });
  });

  it('a key of the own shape with a wrong checksum is imported, and never valid', async () => {
    const { key } = generateKey('ks', 'live');
    const wrong = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0');
    const { body } = await importKeys([{ clerkOrgId: newOrganization(), sha256: keyFromElsewhere(wrong).hex }]);
    expect(body.imported).toBe(1);
    expect(await codeOf(wrong)).toBe('api_key_invalid');
  });
});
