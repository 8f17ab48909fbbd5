import type { Path } from '../text/path.ts';
import { isReadable, type Weakness, weak, weakTls } from '../values/weakness.ts';
import type { FunctionConfig, HttpFunction } from './types.ts';

/** Headers that hold credentials. */
const LOGIN = /^(?:proxy-)?authorization$|^cookie$|key|token|secret|password/;

export function functionWeaknesses(path: Path, fn: FunctionConfig): Weakness[] {
  if (!('http' in fn)) return [];
  const at = [...path, 'http'];
  const found = weakTls([...at, 'tls'], fn.http.tls);
  if (hasLogin(fn.http) && isReadable(fn.http.url))
    found.push(weak([...at, 'url'], 'gets its credentials over http, where others can read them; use https'));
  return found;
}

function hasLogin({ auth, headers }: HttpFunction): boolean {
  return auth !== null || Object.keys(headers).some((name) => LOGIN.test(name));
}
