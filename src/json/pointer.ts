/** JSON Pointer (RFC 6901). */

/** Tokens of a pointer such as `/a/b~1c`; `''` is the whole document. Throws SyntaxError on a malformed one. */
export function parsePointer(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new SyntaxError(`JSON Pointer must begin with '/': ${pointer}`);
  if (/~(?![01])/.test(pointer))
    throw new SyntaxError(`JSON Pointer has a '~' that is not '~0' or '~1': ${pointer}`);
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value that the tokens lead to, by own members only; undefined when there is none. */
export function resolvePointer(value: unknown, tokens: readonly string[]): unknown {
  let here = value;
  for (const token of tokens) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, token)) return undefined;
    if (Array.isArray(here) && !/^(?:0|[1-9]\d*)$/.test(token)) return undefined;
    here = (here as Record<string, unknown>)[token];
  }
  return here;
}

/** URI fragment form (RFC 6901 section 6) of a pointer, as problems name places: `#/a`. */
export function fragment(pointer: string): string {
  return `#${pointer.split('/').map(encodeURIComponent).join('/')}`;
}
