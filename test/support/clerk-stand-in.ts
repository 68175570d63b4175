import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Obviously nobody's. */
export const CLERK_SECRET_KEY = 'sk_test_not_a_real_key';

interface Behaviour {
  /** Answer everything with this status. */
  status?: number;
  delayMs?: number;
  /** Take requests and never answer them. */
  hang?: boolean;
}

export interface ClerkStandIn {
  /** What CLERK_API_URL and CLERK_SECRET_KEY have to be to reach it. */
  environment: { CLERK_API_URL: string; CLERK_SECRET_KEY: string };
  /** The user ids of each organisation that it knows; it answers 404 for any other. */
  members: Map<string, string[]>;
  /** How it behaves from now on. */
  behaviour: Behaviour;
  /** Every request so far; `url` as it came over the wire. */
  requests: { method: string; url: string; authorization: string | undefined }[];
  close(): Promise<void>;
}

/** Clerk's organisations and membership lists on loopback, for the real SDK to talk to. */
export async function startClerkStandIn(): Promise<ClerkStandIn> {
  const server = createServer(async (request, response) => {
    const { method = '', url = '' } = request;
    standIn.requests.push({ method, url, authorization: request.headers.authorization });
    const { status, delayMs = 0, hang = false } = standIn.behaviour;
    if (hang) return;
    await sleep(delayMs);
    if (status !== undefined) return answer(response, status, problem('scripted'));
    const [, single] = /^\/v1\/organizations\/([^/?]+)$/.exec(url) ?? [];
    if (single !== undefined) {
      const id = decodeURIComponent(single);
      if (standIn.members.has(id)) return answer(response, 200, organization(id));
      return answer(response, 404, problem('resource_not_found'));
    }
    const [, segment] = /^\/v1\/organizations\/([^/?]+)\/memberships(?:\?|$)/.exec(url) ?? [];
    const members = segment === undefined ? undefined : standIn.members.get(decodeURIComponent(segment));
    if (members === undefined) return answer(response, 404, problem('resource_not_found'));
    const limit = Number(new URL(url, 'http://stand-in').searchParams.get('limit') ?? 10);
    answer(response, 200, { data: members.slice(0, limit).map(membership), total_count: members.length });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const standIn: ClerkStandIn = {
    environment: {
      CLERK_API_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      CLERK_SECRET_KEY,
    },
    members: new Map(),
    behaviour: {},
    requests: [],
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return standIn;
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function problem(code: string) {
  return { errors: [{ code, message: code, long_message: code }], clerk_trace_id: 'trace' };
}

function organization(id: string) {
  return { object: 'organization', id, name: 'org', slug: 'org', created_at: 0, updated_at: 0 };
}

function membership(userId: string, index: number) {
  return {
    object: 'organization_membership',
    id: `orgmem_${index}`,
    role: 'org:member',
    permissions: [],
    public_metadata: {},
    private_metadata: {},
    created_at: 0,
    updated_at: 0,
    organization: organization('org'),
    public_user_data: {
      user_id: userId,
      first_name: null,
      last_name: null,
      image_url: '',
      has_image: false,
      identifier: 'somebody@example.com',
    },
  };
}
