import { type HttpAuth, type HttpFunction, isReservedHeader } from '../config/function/types.ts';

/** Tokens that must be fetched and last for a while. */
export interface TokenSource {
  /** One that is good now, or null. When it ends soon, the next is fetched meanwhile. */
  current(): string | null;
  /** A new one. Rejects with an error whose message holds no secrets. */
  fetch(): Promise<string>;
}

/** Characters: what is shorter may be any word of an answer. */
const SHORTEST_SECRET = 6;

/**
 * What is in the head of each request: name, value, name, value. Throws TypeError, without the value, on what
 * cannot be sent.
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

/** At the start, and not on the first call. */
function checkHeader(name: string, value: string): void {
  try {
    new Headers([[name, value]]);
  } catch {
    throw new TypeError(
      `the header ${name} cannot be sent: its name or value has characters that it must not`,
    );
  }
}

/** What must not be shown when a function's answer repeats it. */
export function secretsOf({ headers, auth }: HttpFunction, url: URL): string[] {
  const all = Object.values(headers);
  for (const value of authHeaders(auth)) all.push(value.replace(/^(?:Bearer|Basic) /, ''));
  if (auth !== null && 'basic' in auth) all.push(auth.basic.password);
  if (url.password !== '') {
    const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
    all.push(password, basic(`${user}:${password}`).slice('Basic '.length));
  }
  return all.filter((text) => text.length >= SHORTEST_SECRET);
}
