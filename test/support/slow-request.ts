import { once } from 'node:events';
import { request } from 'node:http';
import { newOrganization, SERVICE_KEY } from './client.ts';

/** A request that the service has seen, and whose body is still on its way: in flight for as long as the test wants. */
export async function slowRequest(port: number, clerkOrgId = newOrganization()) {
  const sent = request({
    host: '127.0.0.1',
    port,
    method: 'POST',
    path: '/internal/api-keys',
    headers: {
      'X-Service-Key': SERVICE_KEY,
      'Content-Type': 'application/json',
      'Transfer-Encoding': 'chunked',
      Expect: '100-continue',
    },
  });
  const answered = once(sent, 'response').then(([response]) => {
    response.resume();
    return response.statusCode;
  });
  answered.catch(() => {}); // for the tests in which it never is
  sent.flushHeaders();
  await once(sent, 'continue');
  return { finish: () => sent.end(JSON.stringify({ clerkOrgId })), answered };
}
