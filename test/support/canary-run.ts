import { readdir, readFile } from 'node:fs/promises';
import type { Canary } from './canary.ts';
import { type Callers, type CanaryRequest, requestsOf } from './canary-requests.ts';
import type { Client } from './client.ts';
import { execute } from './database-server.ts';
import { OPERATIONS } from './routes.ts';

const AT_ONCE = 8;
/** What concerns everything, and is asked when nothing else is, in this order. */
const ALONE: readonly string[] = ['/internal/freeze-reveals', '/internal/unfreeze-reveals'];

/** Asks a service, and keeps what it says that nobody asked for: headers, errors. */
export class CanaryRun {
  readonly told: string[] = [];
  /** Keys that the service issued meanwhile. */
  readonly issued: string[] = [];
  readonly #service: Pick<Client, 'request'>;
  readonly #secret: string;

  constructor(service: Pick<Client, 'request'>, secret: string) {
    this.#service = service;
    this.#secret = secret;
  }

  async post({ serviceKey, clerkOrgId }: Callers, path: string, body: Record<string, unknown>) {
    const headers = { 'X-Service-Key': serviceKey, 'Content-Type': 'application/json' };
    return (await this.#ask({ method: 'POST', path, headers, body: JSON.stringify({ clerkOrgId, ...body }) })).body;
  }

  /** Asks every operation as it should be asked, and in every wrong way. @returns how often there was which status */
  async askEverything(callers: Callers): Promise<Record<number, number>> {
    const requestsTo = (operations: readonly (typeof OPERATIONS)[number][]) =>
      operations.flatMap((operation) => {
        const { valid, invalid } = requestsOf(operation, callers, this.#secret);
        return [valid, valid, ...invalid];
      });
    const statuses: Record<number, number> = {};
    const askAll = async (requests: CanaryRequest[]) => {
      for (let next = requests.shift(); next !== undefined; next = requests.shift()) {
        const { status } = await this.#ask(next);
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
    };
    const requests = requestsTo(OPERATIONS.filter(({ path }) => !ALONE.includes(path)));
    await Promise.all(Array.from({ length: AT_ONCE }, () => askAll(requests)));
    await askAll(requestsTo(OPERATIONS.filter(({ path }) => ALONE.includes(path))));
    return statuses;
  }

  async #ask({ method, path, headers, body }: CanaryRequest) {
    const answer = await this.#service.request(method, path, { headers, body });
    this.told.push(JSON.stringify([...answer.headers]));
    // What was asked for holds the secret that was asked for; what is issued is looked for everywhere else.
    if (answer.status >= 400) this.told.push(answer.text);
    else if (typeof answer.body?.key === 'string' && !answer.body.key.includes(this.#secret)) {
      this.issued.push(answer.body.key);
    }
    return answer;
  }
}

/** All rows of all tables, as text. */
export async function dumpOf(databaseUrl: string): Promise<string> {
  const tables = await execute<{ name: string }>(
    databaseUrl,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname !~ '^(pg_|information_schema)'`,
  );
  const rows = await Promise.all(
    tables.map(({ name }) => execute<{ row: string }>(databaseUrl, `select t::text as row from ${name} t`)),
  );
  return rows
    .flat()
    .map(({ row }) => row)
    .join('\n');
}

/** What `ps` shows of every process. */
export async function processList(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.join('\n').replaceAll('\0', ' ');
}

/** Which of them stand where, in which form. */
export function found(canaries: Record<string, Canary['formsIn']>, places: Record<string, string>): string[] {
  return Object.entries(canaries).flatMap(([what, formsIn]) =>
    Object.entries(places).flatMap(([place, text]) => formsIn(text).map((form) => `${what}, ${form}, in ${place}`)),
  );
}
