import type { Path } from '../text/path.ts';
import { readUrl } from '../values/check.ts';
import type { Reader } from '../values/reader.ts';
import { readTls } from '../values/tls.ts';
import type { FunctionDocument } from './shape.ts';
import { type FunctionConfig, type HttpAuth, isReservedHeader } from './types.ts';

type RawHttp = NonNullable<FunctionDocument['http']>;

/** Makes a function of its document, and checks each value on its own. */
export function readFunction(path: Path, raw: FunctionDocument, reader: Reader): FunctionConfig {
  const { findings } = reader;
  if (!raw.http === !raw.lambda) findings.error(path, 'needs one of http and lambda');
  if (raw.lambda) {
    const { region, endpoint } = raw.lambda;
    if (endpoint !== undefined) readUrl(findings, [...path, 'lambda', 'endpoint'], endpoint);
    return { lambda: { ...raw.lambda, region: region ?? null, endpoint: endpoint ?? null } };
  }
  const at = [...path, 'http'];
  const http = raw.http ?? { url: 'http://localhost', mode: 'binary', headers: {}, sign: [] };
  const headers: Record<string, string> = Object.create(null);
  for (const [header, value] of Object.entries(http.headers)) {
    const place = [...at, 'headers', header];
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header)) findings.error(place, 'is not a header name');
    else if (isReservedHeader(header)) findings.error(place, 'is set by Postern', place);
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
      tls: readTls([...at, 'tls'], http.tls, reader),
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
  // Google's audiences have no query and no fragment.
  if (google !== undefined) return { google: { audience: google.audience ?? url.replace(/[?#].*$/s, '') } };
  // RFC 7617: the name ends at the first colon.
  if (basic!.user.includes(':')) findings.error([...path, 'basic', 'user'], 'cannot have a colon');
  return { basic: { user: basic!.user, password: secret([...path, 'basic', 'password'], basic!.password) } };
}

function headerSecret(path: Path, text: string, { findings, secret }: Reader): string {
  const value = secret(path, text);
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
    findings.error(path, 'has characters that a header cannot have');
  return value;
}

/** Reads a secret of Standard Webhooks. */
function readSigningSecret(path: Path, text: string, { findings, secret }: Reader): string {
  const value = secret(path, text);
  const bytes = Buffer.from(value.replace(/^whsec_/, ''), 'base64').length;
  if (!/^whsec_[A-Za-z0-9+/]+=*$/.test(value) || bytes < 24 || bytes > 64)
    findings.error(path, 'must be whsec_ and the base64 of 24 to 64 bytes');
  return value;
}
