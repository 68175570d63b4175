/** What a reader has to know to believe a figure, or to doubt it. */
export const METHOD = `## How it is measured

\`npm run bench\` builds the service, starts an embedded PostgreSQL and everything else itself, and writes this document and
its [raw figures](benchmarks/results.json). Nothing leaves the machine.

- **The service is a black box**: \`dist/main.js\` with \`NODE_ENV=production\`, spoken to over HTTP. It does all that a
  production replica does: request ids, security headers, metrics, logs (into a file), \`lastUsedAt\`. Clerk is a stand-in on
  loopback that answers at once; so is Sentry.
- **The yardstick is bare Express 4** with \`res.json\` of a constant as long as the service's answer, measured in the same
  run. Ratios travel from machine to machine, requests a second do not.
- **Rounds are interleaved**: in each, every server is started anew, since a process keeps for life what chance gave it, is
  warmed up for two seconds and measured for three. The order changes from round to round. What is shown is the median.
- **A disturbed round is marked †**: one during which programs that are not ours used more than a tenth of a core (CPU time
  in \`/proc/stat\` less that of our own processes), or the hypervisor withheld more than 3 % of one. Medians leave disturbed
  rounds out while at least three calm ones remain.
- **Differences below 15 % are called none.** One run on a small machine cannot tell them from chance.
- **Any unexpected status fails the run**, and so does a lost connection. Every server is asked once beforehand whether it
  really accepts a good key.
- **Load** comes from wrk (one thread, 32 keep-alive connections, closed loop; autocannon where there is no wrk) for known
  and unknown keys: 1,000 known ones in turn, unknown ones each only once. Where every key is asked once, or at a fixed
  rate, it comes from the benchmark's own client on raw sockets. In a closed loop latency is mostly the queue: 32 requests
  divided by the throughput.
- **Load and server share the machine's cores.** With two of them the loader has one and the server the other, and
  PostgreSQL what is left of both: a server that waits for its database is slowed down by that, and two workers compete with
  their loader. *CPU a request* does not depend on any of this. It is the time of the server's processes, in kernel and out,
  without the network interrupts that the kernel charges to nobody.
- **Memory** is resident memory at the end of a round; of several processes the sum. In *Growth* it is measured in a process
  that a small module, loaded beside the service, lets collect its garbage on demand.
- **PostgreSQL** is durable (\`fsync\` and \`synchronous_commit\` are on), with buffers large enough for all data. All servers
  use the same one, through ten connections each. Checkpoints are put off, so that none falls into one round and not into
  another; \`pg_stat_statements\` is loaded, and counts the look-ups.

## What the peers do, and do not

| | |
|---|---|
| node:http, constant | Node's own server, headers and body prepared. No routing, no keys: the limit. |
| Express 4, constant | \`res.json\` of a constant, as \`npm install express\` gives it. No keys. |
| Express 4 at its best | Requests and responses are made with Express's prototypes; the key is hashed and looked up in a \`Map\`; body and headers are prepared, as many as the service sends. It checks, counts and logs nothing: the limit of what is built on Express. |
| Express 4, one prepared look-up | SHA-256 of the key, one named statement with \`pg\`: the key's row by its hash. Checks revocation and expiry. No \`lastUsedAt\`, no organisation, no metrics, no logs. |
| … of the whole answer | The same, with the organisation and its providers: all that an answer of Key Service is made of. |
| Naive service | A look-up with Drizzle, then an \`UPDATE\` of \`lastUsedAt\`, in each request. |
| better-auth | \`verifyApiKey\` of its API key plugin behind one Express route. Its limit of ten requests a day is raised; it counts them in the database. |
| …, no rate limits | Rate limiting is off. It still writes the time of the last request, in every request. |
| …, prototypes at birth | Requests and responses are made with Express's prototypes, as in this service: the difference is not that trick. |
| …, in memory | Keys in a \`Map\`, through its interface for Redis. Nothing is kept at a restart or shared with another process. |

Peers on PostgreSQL read it for every answer: that is their way to refuse a revoked key at once, and it is what they are
slow by. All run with the same flags of Node (none), in production mode,
with keep-alive, over the same keys.

## Doing it again

\`\`\`bash
npm run bench                       # everything
npm run bench -- validate           # one part; the others keep the figures they have
npm run bench -- --quick            # whether everything works, not how fast it is; writes nothing
npm run bench -- --report           # this document anew, from the raw figures
\`\`\`

Linux only (it reads \`/proc\`). With nothing else running; Debian has wrk as \`wrk\`.
`;
