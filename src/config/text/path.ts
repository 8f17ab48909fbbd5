/** Keys and indexes that lead from the root of the config to a value. */
export type Path = readonly (string | number)[];

/** JSON Pointer of a path. */
export function pointerOf(path: Path): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
