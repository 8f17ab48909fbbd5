import type { Problem } from '../core/problem.ts';
import { markCycles, tracks } from './cycles.ts';
import { DEFAULT_DRAFT, type Draft, draftOf } from './drafts.ts';
import { Emitter } from './emit.ts';
import { Engine } from './engine.ts';
import { escapeToken } from './faults.ts';
import { formatChecks } from './formats.ts';
import { type Document, isObject, Linker, type Place, report, type SchemaObject } from './link.ts';
import { metaSchema } from './meta.ts';
import { MetaChecks } from './meta-checks.ts';
import { Patterns } from './pattern/patterns.ts';
import { nameOf, plainSchemas } from './plain.ts';
import { createSchemaSet, createValidator, type Fuel, type SchemaSet, type Validator } from './registry.ts';

export interface SchemaFile {
  /** Relative to the schema folder, with slashes, such as `v2/purchase.json`. */
  path: string;
  text: string;
  /** Why there is no text. */
  problem?: string;
}

export interface CompileOptions {
  /** URI of the folder, from which files without an id have theirs. */
  base?: string;
  /** Keep it to compile the drafts' own schemas once only. */
  meta?: MetaChecks;
  /** Gets the parts of each validator, so that their code can be had. */
  ahead?: Ahead;
}

/** What is wanted of a compilation whose schemas are to be used elsewhere. */
interface Ahead {
  patterns: Patterns;
  add(made: MadeValidator): void;
}

export interface MadeValidator {
  name: string;
  id: string | null;
  key: string;
  first: Engine;
  all: Engine;
}

/**
 * Compiles a folder of schemas. A file with an error problem, or one that refers to such a file, is not in
 * the set; all others are. Nothing is fetched.
 */
export function compileSchemas(
  files: readonly SchemaFile[],
  options: CompileOptions = {},
): { set: SchemaSet; problems: Problem[] } {
  return new Compilation(options).run(files);
}

interface Reference {
  place: Place;
  keyword: string;
}

class Compilation {
  readonly #base: string;
  readonly #meta: MetaChecks;
  readonly #patterns: Patterns;
  readonly #ahead: Ahead | null;
  readonly #formats = new Set(formatChecks().keys());
  readonly #linker = new Linker((place, node) => this.#visit(place, node), metaSchema);
  readonly #references: Reference[] = [];
  /** For each document, what it refers to and where. */
  readonly #needs = new Map<Document, Map<Document, string>>();
  #tracks = false;

  constructor(options: CompileOptions) {
    this.#base = options.base ?? 'schema:///';
    this.#meta = options.meta ?? new MetaChecks();
    this.#ahead = options.ahead ?? null;
    this.#patterns = this.#ahead?.patterns ?? new Patterns();
  }

  run(files: readonly SchemaFile[]): { set: SchemaSet; problems: Problem[] } {
    const problems: Problem[] = [];
    const documents: Document[] = [];
    for (const file of files) {
      const parsed = this.#read(file);
      if ('file' in parsed) documents.push(parsed);
      else problems.push({ level: 'error', file: file.path, ...parsed });
    }
    // Following a reference can come upon more schemas, with references of their own.
    for (const reference of this.#references) this.#follow(reference);
    for (const { node, pointer, resource, document } of this.#linker.strays) {
      for (const wrong of this.#meta.check(resource.draft, node)) {
        report(document, 'error', pointer + wrong.pointer, wrong.detail);
      }
    }
    this.#spreadErrors(documents);
    const validators = this.#compile(documents.filter((document) => !isBroken(document)));
    for (const document of documents) problems.push(...document.problems);
    const roots = new Map(documents.map((document) => [nameOf(document), document.root]));
    const plain = (names: readonly string[]) => plainSchemas(this.#linker, roots, names);
    return { set: createSchemaSet(validators, plain), problems };
  }

  #read({ path, text, problem }: SchemaFile): Document | { pointer: string; message: string; line?: number } {
    if (problem !== undefined) return { pointer: '', message: problem };
    let node: unknown;
    try {
      node = JSON.parse(text.replace(/^\uFEFF/, ''));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const line = /\(line (\d+)/.exec(message)?.[1];
      return { pointer: '', message: `not JSON: ${message}`, ...(line ? { line: Number(line) } : {}) };
    }
    if (!isObject(node) && typeof node !== 'boolean') {
      return { pointer: '', message: 'is not a schema: must be an object or a boolean' };
    }
    const uri = new URL(path.split('/').map(encodeURIComponent).join('/'), this.#base).href;
    let draft: Draft = DEFAULT_DRAFT;
    if (isObject(node) && '$schema' in node) {
      const known = typeof node.$schema === 'string' ? draftOf(node.$schema) : undefined;
      if (known === undefined) {
        const message = 'names none of the drafts 04, 06, 07, 2019-09 and 2020-12';
        return { pointer: '/$schema', message };
      }
      draft = known;
    }
    const wrong = this.#meta.check(draft, node);
    const document = this.#linker.add(path, uri, node, draft);
    for (const { pointer, detail } of wrong) report(document, 'error', pointer, detail);
    return document;
  }

  #visit(place: Place, node: SchemaObject): void {
    const { document, pointer } = place;
    for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef']) {
      if (typeof node[keyword] === 'string') this.#references.push({ place, keyword });
    }
    if ('unevaluatedItems' in node || 'unevaluatedProperties' in node) this.#tracks = true;
    const { format, pattern, patternProperties } = node;
    if (typeof format === 'string' && !this.#formats.has(format)) {
      report(document, 'warning', `${pointer}/format`, `format ${JSON.stringify(format)} is not checked`);
    }
    if (typeof pattern === 'string') this.#checkPattern(document, `${pointer}/pattern`, pattern);
    if (!isObject(patternProperties)) return;
    for (const one of Object.keys(patternProperties)) {
      this.#checkPattern(document, `${pointer}/patternProperties/${escapeToken(one)}`, one);
    }
  }

  #checkPattern(document: Document, pointer: string, pattern: string): void {
    const { matcher, problem } = this.#patterns.compile(pattern);
    if (problem !== null) report(document, matcher === null ? 'error' : 'warning', pointer, problem);
  }

  #follow({ place, keyword }: Reference): void {
    const { document, pointer } = place;
    const reference = (place.node as SchemaObject)[keyword] as string;
    const target = this.#linker.resolve(place, reference);
    if (typeof target === 'string') {
      report(document, 'error', `${pointer}/${keyword}`, `${JSON.stringify(reference)} ${target}`);
    } else if (target.document !== document) {
      const needs = this.#needs.get(document) ?? new Map<Document, string>();
      this.#needs.set(document, needs.set(target.document, `${pointer}/${keyword}`));
    }
  }

  /** A schema that refers to a broken one cannot be compiled either. */
  #spreadErrors(documents: readonly Document[]): void {
    for (let more = true; more; ) {
      more = false;
      for (const document of documents) {
        if (isBroken(document)) continue;
        for (const [needed, pointer] of this.#needs.get(document) ?? []) {
          if (!isBroken(needed)) continue;
          report(document, 'error', pointer, `refers to ${needed.file}, which has errors`);
          more = true;
        }
      }
    }
  }

  #compile(documents: readonly Document[]): Validator[] {
    const emitter = new Emitter(this.#linker, this.#tracks);
    const keys = new Map<Document, string>();
    for (const document of documents) {
      try {
        keys.set(document, emitter.target(document.root));
      } catch (error) {
        report(document, 'error', '', error instanceof Error ? error.message : String(error));
      }
    }
    // What was begun for a schema that failed must not get in the way of the others.
    if (documents.some(isBroken)) {
      this.#spreadErrors(documents);
      return this.#compile(documents.filter((document) => !isBroken(document)));
    }
    markCycles(emitter.schemas);
    const fuel: Fuel = { left: 0 };
    const engines = new Map<string, Engine>();
    const engine = (allErrors: boolean, keepsBook: boolean): Engine => {
      const name = `${allErrors} ${keepsBook}`;
      const options = {
        allErrors,
        tracks: keepsBook,
        formats: true,
        patterns: this.#patterns,
        fuel,
        source: this.#ahead !== null,
        optimize: true,
      };
      const made = engines.get(name) ?? new Engine(emitter.schemas, options);
      engines.set(name, made);
      return made;
    };
    const validators: Validator[] = [];
    for (const [document, key] of keys) {
      const keepsBook = tracks(emitter.schemas, key);
      try {
        const first = engine(false, keepsBook).compile(key);
        const all = () => engine(true, keepsBook).compile(key);
        const [name, id] = [nameOf(document), idOf(document)];
        validators.push(createValidator({ name, id, first, all, fuel }));
        this.#ahead?.add({
          name,
          id,
          key,
          first: engine(false, keepsBook),
          all: engine(true, keepsBook),
        });
      } catch (error) {
        report(document, 'error', '', error instanceof Error ? error.message : String(error));
      }
    }
    return validators;
  }
}

function isBroken(document: Document): boolean {
  return document.problems.some((problem) => problem.level === 'error');
}

function idOf(document: Document): string | null {
  const { node, resource } = document.root;
  const id = isObject(node) ? node[resource.draft === 4 ? 'id' : '$id'] : undefined;
  return typeof id === 'string' ? id : null;
}
