import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newOrganization, SERVICE_KEY } from '../support/client.ts';
import { expectProblem, wholeAnswer } from '../support/problem.ts';
import { startService, type TestService } from '../support/service.ts';
import { type NamedCaller, newServiceCaller } from '../support/service-caller.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

const revoke = (id: string) =>
  service.request('DELETE', `/internal/service-keys/${id}`, {
    headers: { 'X-Service-Key': SERVICE_KEY, 'X-Request-Id': 'one-id' },
  });
const reader = () => newServiceCaller(service, { permissions: ['provider-keys:read'] });
const read = ({ as }: NamedCaller) => as('GET', `/internal/keys?clerkOrgId=${newOrganization()}`);

describe('DELETE /internal/service-keys/:id', () => {
  describe('200', () => {
    it('revokes the key: it is refused from then on, by name of what befell it', async () => {
      const caller = await reader();
      expect((await read(caller)).status).toBe(200);
      const answer = await revoke(caller.id);
      expect({ status: answer.status, body: answer.body }).toEqual({
        status: 200,
        body: { message: expect.stringMatching(/\S/) },
      });
      const refused = await read(caller);
      expectProblem(refused, 401, 'service_key_invalid');
      expect(refused.body.detail).toBe('This service key was revoked.');
      expect(refused.headers.get('www-authenticate')).toBe('Bearer realm="key-service", error="invalid_token"');
    });

    it('refuses the key from the moment that it was answered, while it is used all the time', async () => {
      for (let round = 0; round < 10; round += 1) {
        const caller = await reader();
        let revoked = false;
        const others = Array.from({ length: 8 }, async () => {
          while (!revoked) await read(caller);
        });
        const { status } = await revoke(caller.id);
        const next = await read(caller);
        revoked = true;
        await Promise.all(others);
        expect(status).toBe(200);
        expectProblem(next, 401, 'service_key_invalid');
        expectProblem(await read(caller), 401, 'service_key_invalid');
      }
    });

    it('is the answer again, and changes nothing again', async () => {
      const { id } = await reader();
      const row = () => service.sql('select *, xmin::text from key_service.service_keys where id = $1', [id]);
      const first = await revoke(id);
      const before = await row();
      expect(wholeAnswer(await revoke(id))).toEqual(wholeAnswer(first));
      expect(before).toEqual([expect.objectContaining({ revoked_at: expect.any(Date) })]);
      expect(await row()).toEqual(before);
    });

    it('is the answer to 50 at once', async () => {
      const { id } = await reader();
      const answers = await Promise.all(Array.from({ length: 50 }, () => revoke(id)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    });

    it('leaves another key of the same name as it was, so that callers can change over', async () => {
      const [old, next] = [await reader(), await reader()];
      expect(old.name).toBe(next.name);
      await revoke(old.id);
      expectProblem(await read(old), 401, 'service_key_invalid');
      expect((await read(next)).status).toBe(200);
    });
  });

  describe('404', () => {
    it('is one answer, byte for byte, for an unknown id and a malformed one', async () => {
      const { id } = await service.issueKey(newOrganization());
      const answers = [
        await revoke('01890000-0000-7000-8000-000000000000'),
        await revoke(id),
        await revoke('not-a-uuid'),
        await revoke("'%20or%20true--"),
        await revoke('%00'),
      ];
      for (const answer of answers.slice(0, 4)) expectProblem(answer, 404, 'service_key_not_found');
      const [first, ...others] = answers.slice(0, 4).map(wholeAnswer);
      for (const answer of others) expect(answer).toEqual(first);
      expect([400, 404]).toContain(answers[4]?.status);
    });
  });
});
