import type { Bench } from '../bench.ts';
import { organizationOf } from '../fill.ts';
import { type AskedEach, askEach, resultOf } from '../load/ask-each.ts';
import { asHolder, rawRequest } from '../load/connection.ts';
import { type Figures, measure, medianOf } from '../measure/figures.ts';
import type { PartResult } from '../results.ts';
import { inRounds } from '../rounds.ts';
import type { RunningServer } from '../servers.ts';
import { bareExpress, EXPRESS, keyService } from '../subjects.ts';

/** Keys are issued and revoked by a platform's own backends, a few at a time. */
const CONNECTIONS = 8;
const KEYS = 2000;
const ISSUE = 'issue';
const REVOKE = 'revoke';

/** `POST /internal/api-keys` and `DELETE /internal/api-keys/:id`. */
export const issueRevoke = {
  name: 'issue-revoke',
  summary: `throughput and latency of issuing and revoking, ${CONNECTIONS} connections`,
  async run(bench: Bench): Promise<PartResult> {
    const service = await keyService(bench);
    const revocations: Figures[] = [];
    const count = bench.effort.quick ? KEYS / 10 : KEYS;
    const subjects = [bareExpress(), { ...service, id: ISSUE, name: 'Key Service, issue' }];
    const rounds = await inRounds(bench, subjects, async (server, { id }) => {
      if (id === EXPRESS) return measureEach(bench, server, repeated(asHolder('any'), count));
      // The first ones find a process that has just started.
      await issue(bench, server, count / 4);
      let issued: string[] = [];
      const figures = await measure(bench, server, async () => {
        const asked = await issue(bench, server, count);
        issued = asked.answers.map(({ body }) => (JSON.parse(body) as { id: string }).id);
        return resultOf(asked);
      });
      const revoked = await measureEach(
        bench,
        server,
        issued.map((issuedId, index) => revokeRequest(bench, issuedId, organizationOf(index))),
      );
      revocations.push({ ...revoked, subject: REVOKE, round: revocations.length + 1 });
      return figures;
    });
    const all = [...rounds, ...revocations];
    const p99 = (subject: string) => medianOf(all, subject, ({ latencyMs }) => latencyMs.p99);
    return {
      notes: [`p99: ${p99(ISSUE).toFixed(1)} ms to issue, ${p99(REVOKE).toFixed(1)} ms to revoke.`],
      rounds: all,
      subjects: [...subjects.map(({ id, name }) => ({ id, name })), { id: REVOKE, name: 'Key Service, revoke' }],
      targets: [],
    };
  },
};

function issue({ serviceKey }: Bench, { port }: RunningServer, count: number): Promise<AskedEach> {
  const requests = Array.from({ length: count }, (_, index) =>
    rawRequest(
      'POST',
      '/internal/api-keys',
      { 'X-Service-Key': serviceKey },
      { clerkOrgId: organizationOf(index), name: `Issued ${index}` },
    ),
  );
  return askEach({ port, connections: CONNECTIONS, requests, expectedStatus: 201 });
}

function revokeRequest({ serviceKey }: Bench, id: string, organization: string): string {
  return rawRequest('DELETE', `/internal/api-keys/${id}?clerkOrgId=${organization}`, { 'X-Service-Key': serviceKey });
}

function measureEach(bench: Bench, server: RunningServer, requests: string[]) {
  const options = { port: server.port, connections: CONNECTIONS, requests, expectedStatus: 200 };
  return measure(bench, server, async () => resultOf(await askEach(options)));
}

function repeated(request: string, count: number): string[] {
  return Array.from({ length: count }, () => request);
}
