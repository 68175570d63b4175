import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the service talks to in production, on loopback. */
export interface StandIns {
  clerkUrl: string;
  sentryDsn: string;
  close(): Promise<void>;
}

export async function startStandIns(): Promise<StandIns> {
  // One member in every organisation, so that membership is known as in production.
  const clerk = await listen((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(ONE_MEMBER));
  });
  // Takes whatever is reported, and forgets it.
  const sentry = await listen((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}'));
  });
  return {
    clerkUrl: `http://127.0.0.1:${clerk.port}`,
    sentryDsn: `http://fakepublickey@127.0.0.1:${sentry.port}/1`,
    close: async () => {
      await Promise.all([clerk.close(), sentry.close()]);
    },
  };
}

async function listen(handler: RequestListener) {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const ONE_MEMBER = {
  data: [
    {
      object: 'organization_membership',
      id: 'orgmem_bench',
      role: 'org:member',
      permissions: [],
      public_metadata: {},
      private_metadata: {},
      created_at: 0,
      updated_at: 0,
      organization: { object: 'organization', id: 'org', name: 'org', slug: 'org', created_at: 0, updated_at: 0 },
      public_user_data: {
        user_id: 'user_bench',
        first_name: null,
        last_name: null,
        image_url: '',
        has_image: false,
        identifier: 'somebody@example.com',
      },
    },
  ],
  total_count: 1,
};
