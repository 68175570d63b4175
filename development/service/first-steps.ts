export interface FirstSteps {
  url: string;
  serviceKey: string;
  database: string;
}

/** What a person who has just started the service wants to know, and the whole main job to paste. */
export function firstSteps({ url, serviceKey, database }: FirstSteps): string {
  return `
Key Service is ready.

  Service      ${url}
  Reference    ${url}/docs
  Data         ${database}
  Service key  ${serviceKey}

The main job, line by line, for another terminal:

${mainJob(url, serviceKey)
  .map(({ title, line }) => `# ${title}\n${line}\n`)
  .join('\n')}
Ctrl-C stops the service and its database.
`;
}

/** Lines for any POSIX shell with curl and sed, to run one after another. */
function mainJob(url: string, serviceKey: string): { title: string; line: string }[] {
  const asService = '-H "X-Service-Key: $SERVICE_KEY"';
  const asClient = '-H "Authorization: Bearer $API_KEY"';
  const withJson = "-H 'Content-Type: application/json'";
  const show = String.raw`-w '\n'`;
  const field = (name: string) => String.raw`$(printf '%s' "$ISSUED" | sed -n 's/.*"${name}": *"\([^"]*\)".*/\1/p')`;
  return [
    {
      title: 'Issue an API key for an organisation (it is shown this once)',
      line: `URL=${url} SERVICE_KEY=${quoted(serviceKey)}; ISSUED=$(curl -sS "$URL/internal/api-keys" ${asService} ${withJson} -d '{"clerkOrgId":"org_demo","name":"First key"}'); API_KEY=${field('key')} KEY_ID=${field('id')}; printf '%s\\n' "$ISSUED"`,
    },
    {
      title: 'Validate it, as its holder',
      line: `curl -sS ${show} "$URL/validate" ${asClient}`,
    },
    {
      title: "Store the organisation's own key of a provider",
      line: `curl -sS ${show} "$URL/internal/keys" ${asService} ${withJson} -d '{"clerkOrgId":"org_demo","provider":"anthropic","apiKey":"sk-ant-not-a-real-key-0000"}'`,
    },
    {
      title: 'Read it back with the API key',
      line: `curl -sS ${show} "$URL/validate/keys/anthropic" ${asClient}`,
    },
    {
      title: 'Decrypt it as a service',
      line: `curl -sS ${show} "$URL/internal/keys/anthropic/decrypt?clerkOrgId=org_demo" ${asService}`,
    },
    {
      title: "List the organisation's provider keys, masked, and its API keys",
      line: `curl -sS ${show} "$URL/internal/keys?clerkOrgId=org_demo" ${asService}; curl -sS ${show} "$URL/internal/api-keys?clerkOrgId=org_demo" ${asService}`,
    },
    {
      title: 'Revoke the API key',
      line: `curl -sS ${show} -X DELETE "$URL/internal/api-keys/$KEY_ID?clerkOrgId=org_demo" ${asService}`,
    },
    {
      title: 'Validate again: 401, it is revoked',
      line: `curl -sS -w '\\n%{http_code}\\n' "$URL/validate" ${asClient}`,
    },
  ];
}

/** For the shell, whatever characters a key of the caller's own may have. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
