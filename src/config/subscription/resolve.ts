import type { Reader } from '../resolve.ts';
import type { ConfigDocument } from '../shape.ts';
import type { Path } from '../text/text.ts';
import { checkName, checkTopic, readTls, readUrl } from '../values.ts';
import { checkFilters } from './filters.ts';
import { type FunctionConfig, type HttpAuth, isReservedHeader, type SubscriptionConfig } from './types.ts';

type RawSubscription = ConfigDocument['subscriptions'][string];
type RawHttp = NonNullable<RawSubscription['function']['http']>;

/** A subscription of the document, each value checked for itself. `creates`: topics that are missing are made. */
export function readSubscription(
  name: string,
  raw: RawSubscription,
  creates: boolean,
  reader: Reader,
): SubscriptionConfig {
  const { findings, time, size } = reader;
  const at = (...rest: (string | number)[]): Path => ['subscriptions', name, ...rest];
  checkName(findings, at(), name);
  if (raw.topics.length === 0) findings.error(at('topics'), 'names no topic');
  for (const [index, topic] of raw.topics.entries()) checkTopic(findings, at('topics', index), topic);
  const deadLetter = raw.deadLetter ?? `${name}.dead`;
  checkTopic(findings, at('deadLetter'), deadLetter);
  const redrive = raw.redrive ?? (creates ? `${name}.redrive` : null);
  if (redrive !== null) checkTopic(findings, at('redrive'), redrive);
  if (raw.reply !== undefined) checkTopic(findings, at('reply'), raw.reply);
  checkFilters(findings, at('filters'), raw.filters);
  const { age } = raw.retry;
  return {
    name,
    group: raw.group ?? `postern.${name}`,
    topics: raw.topics,
    from: raw.from,
    filter: raw.filter ?? null,
    filters: raw.filters,
    function: readFunction(at('function'), raw.function, reader),
    timeout: time(at('timeout'), raw.timeout),
    concurrency: raw.concurrency,
    rate: raw.rate ?? null,
    order: raw.order,
    batch: {
      events: raw.batch.events,
      wait: time(at('batch', 'wait'), raw.batch.wait, 0),
      size: size(at('batch', 'size'), raw.batch.size, 2 ** 28),
    },
    retry: {
      attempts: raw.retry.attempts,
      min: time(at('retry', 'min'), raw.retry.min, 0),
      max: time(at('retry', 'max'), raw.retry.max, 0),
    },
    retryAge: age === undefined ? null : time(at('retry', 'age'), age),
    dedupe: raw.dedupe === undefined ? null : time(at('dedupe'), raw.dedupe, 1_000),
    deadLetter,
    redrive,
    reply: raw.reply ?? null,
    warm: raw.warm === undefined ? null : time(at('warm'), raw.warm, 1_000),
  };
}

/** A function to call, each value checked for itself. */
export function readFunction(path: Path, raw: RawSubscription['function'], reader: Reader): FunctionConfig {
  const { findings } = reader;
  if (!raw.http === !raw.lambda) findings.error(path, 'needs one of http and lambda');
  if (raw.lambda) {
    const { name, region, endpoint, invoke } = raw.lambda;
    if (endpoint !== undefined) readUrl(findings, [...path, 'lambda', 'endpoint'], endpoint);
    return { lambda: { name, region: region ?? null, endpoint: endpoint ?? null, invoke } };
  }
  const at = [...path, 'http'];
  const http = raw.http ?? { url: 'http://localhost', mode: 'binary', headers: {}, sign: [] };
  const headers: Record<string, string> = Object.create(null);
  for (const [header, value] of Object.entries(http.headers)) {
    const place = [...at, 'headers', header];
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header)) findings.error(place, 'is not a header name');
    else if (isReservedHeader(header)) findings.error(place, 'is for Postern to set', place);
    headers[header.toLowerCase()] = headerSecret(place, value, reader);
  }
  const auth = http.auth === undefined ? null : readAuth([...at, 'auth'], http, reader);
  if (auth !== null) {
    const taken = 'azureKey' in auth ? 'x-functions-key' : 'authorization';
    if (headers[taken] !== undefined) findings.error([...at, 'auth'], `cannot go with a header ${taken}`);
  }
  if (http.tls !== undefined && /^http:/i.test(http.url))
    findings.error([...at, 'tls'], 'cannot go with a URL that begins with http://');
  if ((http.tls?.cert === undefined) !== (http.tls?.key === undefined))
    findings.error([...at, 'tls'], 'needs cert and key together');
  return {
    http: {
      url: readUrl(findings, [...at, 'url'], http.url),
      mode: http.mode,
      headers,
      auth,
      sign: http.sign.map((text, index) => readSigningSecret([...at, 'sign', index], text, reader)),
      tls: http.tls === undefined ? null : readTls([...at, 'tls'], http.tls, reader.secret),
    },
  };
}

function readAuth(path: Path, { auth, url }: RawHttp, reader: Reader): HttpAuth | null {
  const { findings, secret } = reader;
  const { bearer, basic, google, azureKey } = auth!;
  const given = [bearer, basic, google, azureKey].filter((one) => one !== undefined);
  if (given.length !== 1) {
    findings.error(path, 'needs one of bearer, basic, google and azureKey');
    return null;
  }
  if (bearer !== undefined) return { bearer: headerSecret([...path, 'bearer'], bearer, reader) };
  if (azureKey !== undefined) return { azureKey: headerSecret([...path, 'azureKey'], azureKey, reader) };
  // Google's audiences have no query.
  if (google !== undefined) return { google: { audience: google.audience ?? url.replace(/[?#].*$/s, '') } };
  // RFC 7617: the server takes what comes before the first one for the name.
  if (basic!.user.includes(':')) findings.error([...path, 'basic', 'user'], 'cannot have a colon');
  return { basic: { user: basic!.user, password: secret([...path, 'basic', 'password'], basic!.password) } };
}

function headerSecret(path: Path, text: string, { findings, secret }: Reader): string {
  const value = secret(path, text);
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
    findings.error(path, 'has characters that no header can hold');
  return value;
}

/** Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes. */
function readSigningSecret(path: Path, text: string, { findings, secret }: Reader): string {
  const value = secret(path, text);
  const bytes = Buffer.from(value.replace(/^whsec_/, ''), 'base64').length;
  if (!/^whsec_[A-Za-z0-9+/]+=*$/.test(value) || bytes < 24 || bytes > 64)
    findings.error(path, 'must be whsec_ and the base64 of 24 to 64 bytes');
  return value;
}
