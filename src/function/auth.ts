import { type HttpAuth, type HttpFunction, isReservedHeader } from '../config/function/types.ts';

/** Tokens that are fetched and expire. */
export interface TokenSource {
  /** A token that is valid now, or null. Fetches the next one in the background when it expires soon. */
  current(): string | null;
  /** Fetches a new token. Rejects with an Error whose message holds no secrets. */
  fetch(): Promise<string>;
}

/** Characters. A shorter secret may be any word of an answer, so it is not hidden. */
const MIN_SECRET = 6;

/**
 * The headers of every request: name, value, name, value. Throws TypeError on a header that cannot be sent; its message
 * does not hold the value.
 */
export function fixedHeaders({ headers, auth }: HttpFunction, url: URL, wantsReply: boolean): string[] {
  const all: string[] = [];
  const names = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    if (isReservedHeader(name)) throw new TypeError(`the header ${name} cannot be set for a function`);
    names.add(name.toLowerCase());
    all.push(name, value);
  }
  all.push(...authHeaders(auth));
  if (url.username !== '' && auth === null && !names.has('authorization')) {
    const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    all.push('authorization', basic(login));
  }
  // Knative's: the function may answer with an event.
  if (wantsReply && !names.has('prefer')) all.push('prefer', 'reply');
  if (!names.has('user-agent')) all.push('user-agent', 'postern');
  for (let i = 0; i < all.length; i += 2) checkHeader(all[i]!, all[i + 1]!);
  return all;
}

function authHeaders(auth: HttpAuth | null): string[] {
  if (auth === null || 'google' in auth) return [];
  if ('bearer' in auth) return ['authorization', `Bearer ${auth.bearer}`];
  if ('azureKey' in auth) return ['x-functions-key', auth.azureKey];
  return ['authorization', basic(`${auth.basic.user}:${auth.basic.password}`)];
}

/** RFC 7617, in UTF-8. */
function basic(login: string): string {
  return `Basic ${Buffer.from(login).toString('base64')}`;
}

/** Checks at the start, so that the first call does not fail. */
function checkHeader(name: string, value: string): void {
  try {
    new Headers([[name, value]]);
  } catch {
    throw new TypeError(
      `the header ${name} cannot be sent: its name or value has characters that it must not`,
    );
  }
}

/** The secrets that must not be shown when a function's answer repeats them. */
export function secretsOf({ headers, auth }: HttpFunction, url: URL): string[] {
  const all = Object.values(headers);
  for (const value of authHeaders(auth)) all.push(value.replace(/^(?:Bearer|Basic) /, ''));
  if (auth !== null && 'basic' in auth) all.push(auth.basic.password);
  if (url.password !== '') {
    const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
    all.push(password, basic(`${user}:${password}`).slice('Basic '.length));
  }
  return all.filter((text) => text.length >= MIN_SECRET);
}
