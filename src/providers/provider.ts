import { z } from 'zod';

/** Stands for the key in the value of a check's header. */
export const KEY = '{key}';

/** The name of a field (RFC 9110 §5.1), and a value that arrives as it was sent (§5.5). */
const headerName = z.string().regex(/^[A-Za-z0-9-]+$/);
const headerValue = z.string().regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/);

const httpsUrl = z
  .url({ protocol: /^https$/ })
  .refine((url) => !/^https:[/\\]*[^/\\]*@/i.test(url), 'must not hold a user or password');

const regularExpression = z.string().refine((source) => {
  try {
    return /^\^.*\$$/.test(source) && !new RegExp(source).test('');
  } catch {
    return false;
  }
}, 'must be a regular expression for a whole key');

/** What a value in the JSON of an answer is: exactly this, or a text that starts so. */
const expectation = z.union([z.string(), z.boolean(), z.strictObject({ startsWith: z.string().min(1) })]);

/** Values by their JSON pointer (RFC 6901); all have to be as expected. */
const bodyExpectations = z.record(z.string().regex(/^(\/([^~/]|~[01])*)+$/), expectation);

const answer = z.strictObject({ status: z.int().min(200).max(499), body: bodyExpectations.optional() });

const is2xx = (status: number) => status >= 200 && status < 300;
/** Neither a redirect, which is not followed, nor a limit or an overload, which says nothing of the key. */
const isRefusal = (status: number) => status >= 400 && status < 500 && status !== 408 && status !== 429;

/** Its status alone says that the key is good only as a success; else the body has to say so. */
const validAnswer = answer.refine(({ status, body }) => is2xx(status) || (isRefusal(status) && body !== undefined));
/** Its status alone says that the key is wrong only as 401: a 403 may be a missing permission, or a firewall. */
const rejectedAnswer = answer.refine(
  ({ status, body }) => status === 401 || ((is2xx(status) || isRefusal(status)) && body !== undefined),
);
/** What the provider may answer for either kind of key. For readers and tests: whatever is not named is neither. */
const neitherAnswer = answer.extend({ because: z.string().min(1) });

const check = z
  .strictObject({
    method: z.enum(['GET', 'POST']),
    /** The part that PROVIDER_BASE_URLS replaces: what the provider's own libraries call so, where they do. */
    baseUrl: httpsUrl.refine((url) => !/[/?#]$|[?#]/.test(url), 'must end without a slash, a query and a fragment'),
    path: z.string().regex(/^\/[A-Za-z0-9/_.-]*(\?[a-zA-Z]+=[0-9]+)?$/),
    /** How the key is sent. In a header and nowhere else: addresses end up in logs. */
    keyHeader: z.strictObject({
      name: headerName,
      value: headerValue.refine((value) => value.split(KEY).length === 2, `must hold ${KEY} once`),
    }),
    headers: z.record(headerName, headerValue).optional(),
    body: z.record(z.string(), z.json()).optional(),
    valid: z.array(validAnswer).min(1),
    rejected: z.array(rejectedAnswer).min(1),
    neither: z.array(neitherAnswer).optional(),
  })
  .refine(({ method, body }) => (method === 'POST') === (body !== undefined), 'a POST has a body, a GET has none')
  .refine(
    ({ valid, rejected }) => valid.every((good) => rejected.every((bad) => areApart(good, bad))),
    'no answer may be valid and rejected',
  );

/** One provider, as the catalogue knows it. */
export const providerSchema = z.strictObject({
  slug: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  name: z.string().min(1),
  /** Where a person gets a key. */
  keysUrl: httpsUrl,
  /** Information for people and forms. It never refuses a key: providers change it without telling anyone. */
  keyForm: z.strictObject({ pattern: regularExpression, hint: z.string().regex(/\S.*\.$/) }),
  /**
   * How to ask the provider whether a key is good: with a request that reads, changes nothing and costs nothing. null
   * where it takes more than the one value that is stored.
   */
  check: check.nullable(),
});

export const catalogueSchema = z
  .array(providerSchema)
  .refine(
    (providers) => providers.every(({ slug }, index) => index === 0 || slug > String(providers[index - 1]?.slug)),
    'must be sorted by slug, without one twice',
  );

export type Provider = z.input<typeof providerSchema>;
export type ProviderCheck = NonNullable<Provider['check']>;
export type ExpectedAnswer = z.input<typeof answer>;
export type Expectation = z.input<typeof expectation>;

/** Whether no answer can be both. */
function areApart(one: ExpectedAnswer, other: ExpectedAnswer): boolean {
  if (one.status !== other.status) return true;
  return Object.entries(one.body ?? {}).some(([pointer, expected]) => {
    const otherExpected = other.body?.[pointer];
    if (otherExpected === undefined || typeof expected === 'object' || typeof otherExpected === 'object') return false;
    return expected !== otherExpected;
  });
}
