import { type Draft, dialectOf } from './drafts.ts';
import { Emitter } from './emit.ts';
import { Engine } from './engine.ts';
import { describe } from './faults.ts';
import { Linker } from './link.ts';
import { metaSchema } from './meta.ts';
import { Patterns } from './pattern/patterns.ts';
import type { CheckFunction } from './registry.ts';

/** Checks schemas against the schemas of their drafts, each of which is compiled when it is first needed. */
export class MetaChecks {
  readonly #checks = new Map<Draft, CheckFunction>();

  check(draft: Draft, node: unknown): { pointer: string; detail: string }[] {
    let check = this.#checks.get(draft);
    if (check === undefined) {
      const linker = new Linker(() => {}, metaSchema);
      const uri = dialectOf(draft);
      const emitter = new Emitter(linker, false);
      const key = emitter.target(linker.add(uri, uri, metaSchema(uri)!, draft).root);
      const options = { allErrors: true, tracks: false, formats: false, source: false, optimize: false };
      const engine = new Engine(emitter.schemas, { ...options, patterns: new Patterns(), fuel: { left: 0 } });
      check = engine.compile(key);
      this.#checks.set(draft, check);
    }
    if (check(node)) return [];
    return (check.errors ?? []).slice(0, 20).map(describe);
  }
}
