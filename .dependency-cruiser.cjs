/**
 * The direction in which the house may be walked, as docs/architecture.md draws it. Type imports count.
 * @type {import('dependency-cruiser').IConfiguration}
 */
module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'encryption-is-pure',
      comment: 'Bytes in, bytes out: no other room, no I/O.',
      severity: 'error',
      from: { path: '^src/encryption/' },
      to: { pathNot: '^(src/encryption/|(node:)?crypto$)' },
    },
    {
      name: 'the-ground-stands-on-nothing',
      severity: 'error',
      from: {
        path: '^src/(errors|answering|caller|canonical-json|expiry|instant|ip-address|key-format|package-version|paging|prepared-json|rounds|time-limit)\\.ts$',
      },
      to: { path: '^src/' },
    },
    {
      name: 'http-knows-no-feature',
      comment: 'Endpoints are handed to it; what they do is not its business.',
      severity: 'error',
      from: { path: '^src/http/' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(http/|answering\\.ts|errors\\.ts|caller\\.ts|ip-address\\.ts|package-version\\.ts|prepared-json\\.ts)',
      },
    },
    {
      name: 'rules-know-no-http',
      comment: 'Only the endpoints and the authentication of a room speak to http.',
      severity: 'error',
      from: {
        path: '^src/(api-keys|validation|provider-keys|providers|reveal-freezes|leak-reports|audit|organizations|service-keys|data-keys|health|usage|usage-reports|rate-limits|cache|clerk|database)/',
        pathNot: '(endpoints?|-authentication)\\.ts$',
      },
      to: { path: '^(src/http/|node_modules/.*express)' },
    },
    {
      name: 'stores-stay-in-their-room',
      comment:
        'A feature uses another through its rules, never through its tables. compose/ hands them what they need of each other.',
      severity: 'error',
      from: { path: '^src/([^/]+)/', pathNot: '^src/compose/' },
      to: { path: '^src/[^/]+/[^/]*-store\\.ts$', pathNot: '^src/$1/' },
    },
    {
      name: 'only-stores-speak-sql',
      severity: 'error',
      from: { path: '^src/', pathNot: '(-store\\.ts$|^src/database/)' },
      to: { path: 'node_modules/(drizzle-orm|pg)/' },
    },
    {
      name: 'outer-rooms-know-no-feature',
      comment:
        'The database, the caches, the usage buffer and what counts requests are talked to; they do not talk back.',
      severity: 'error',
      from: { path: '^src/(database|cache|usage|rate-limits)/' },
      to: {
        path: '^src/(api-keys|validation|provider-keys|providers|reveal-freezes|leak-reports|usage-reports|audit|service-keys|health|data-keys|organizations|clerk)/',
      },
    },
    {
      name: 'the-janitor-knows-no-feature',
      comment: 'What expires, and how it is removed, is handed to it.',
      severity: 'error',
      from: { path: '^src/janitor/' },
      to: { path: '^src/', pathNot: '^src/(janitor/|database/|rounds\\.ts)' },
    },
    {
      name: 'kms-keeps-master-keys-and-knows-nothing-else',
      severity: 'error',
      from: { path: '^src/kms/' },
      to: { path: '^src/', pathNot: '^src/(kms|encryption)/' },
    },
    {
      name: 'only-the-keyring-is-given-a-kms',
      comment: 'Its SDK is loaded where it is used, and nowhere else.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(kms/|open-keyring\\.ts$)' },
      to: { path: '^src/kms/' },
    },
    {
      name: 'the-command-line-stands-beside-compose',
      comment: 'It joins rooms for its own commands; no room knows it.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'workers-know-no-feature',
      comment: 'Processes are kept alive there; what they do is not its business.',
      severity: 'error',
      from: { path: '^src/workers/' },
      to: { path: '^src/', pathNot: '^src/(workers/|observability/|time-limit\\.ts)' },
    },
    {
      name: 'one-place-joins',
      comment: 'compose/ is used by start.ts, that by start-workers.ts, both by main.ts.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(compose/|(main|start|start-workers)\\.ts$)' },
      to: { path: '^src/(compose/|(main|start|start-workers)\\.ts$)' },
    },
    {
      name: 'the-service-needs-no-workshop',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(development|test|bench)/' },
    },
    {
      name: 'no-development-packages-in-the-service',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-optional', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'the-benchmark-is-a-client',
      comment: 'It measures what was built, as anybody would who has only that.',
      severity: 'error',
      from: { path: '^bench/' },
      to: { path: '^(src|test)/' },
    },
    { name: 'nothing-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    // Packages whose paths are in their `exports` alone.
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
