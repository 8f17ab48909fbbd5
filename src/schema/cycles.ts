import type { Emitted } from './emit.ts';
import { CYCLE_MARK } from './engine.ts';

type Schemas = ReadonlyMap<string, Emitted>;

/** True when a schema, or any that it refers to directly or not, needs to know what was evaluated. */
export function tracks(schemas: Schemas, key: string): boolean {
  const reached = new Set([key]);
  for (const one of reached) for (const ref of schemas.get(one)!.refs) reached.add(ref);
  return [...reached].some((one) => schemas.get(one)!.tracks);
}

/** Marks schemas that can refer to themselves, directly or not. */
export function markCycles(schemas: Schemas): void {
  const left = new Map([...schemas].map(([key, { refs }]) => [key, new Set(refs)]));
  for (let before = Infinity; left.size < before; ) {
    before = left.size;
    for (const [key, refs] of left) {
      for (const ref of refs) if (!left.has(ref)) refs.delete(ref);
      if (refs.size === 0) left.delete(key);
    }
  }
  for (const key of left.keys()) schemas.get(key)!.schema[CYCLE_MARK] = true;
}
