import type { Problem } from '../core/problem.ts';
import { type Document, isObject, report, type SchemaLocation, type SchemaObject } from './document.ts';
import { DEFAULT_DRAFT, type Draft, draftOf } from './drafts.ts';
import { Emitter } from './emit.ts';
import { escapeToken } from './faults.ts';
import { formatChecks } from './formats.ts';
import { Linker } from './link.ts';
import { metaSchema } from './meta.ts';
import { MetaChecks } from './meta-checks.ts';
import { Patterns } from './pattern/patterns.ts';
import { nameOf, plainSchemas } from './plain.ts';
import { createSchemaSet, type SchemaSet, type Validator } from './registry.ts';
import { type Ahead, makeValidators } from './validators.ts';

export interface SchemaFile {
  /** Relative to the schema folder, with slashes, such as `v2/purchase.json`. */
  path: string;
  text: string;
  /** Why there is no text. */
  problem?: string;
}

export interface CompileOptions {
  /** URI of the folder: a file without an id has the URI of its path in it. */
  base?: string;
  /** Pass the same one to several calls, so that the drafts' own schemas are compiled only once. */
  meta?: MetaChecks;
  /** Receives the parts of each validator, to write their code out. */
  ahead?: Ahead;
}

/**
 * Compiles a folder of schemas. A file with a problem of the level `error`, or one that refers to such a file, is left
 * out of the set. Nothing is fetched.
 */
export function compileSchemas(
  files: readonly SchemaFile[],
  options: CompileOptions = {},
): { set: SchemaSet; problems: Problem[] } {
  return new Compilation(options).run(files);
}

interface Reference {
  location: SchemaLocation;
  keyword: string;
}

class Compilation {
  readonly #base: string;
  readonly #meta: MetaChecks;
  readonly #patterns: Patterns;
  readonly #ahead: Ahead | null;
  readonly #formats = new Set(formatChecks().keys());
  readonly #linker = new Linker((location, node) => this.#visit(location, node), metaSchema);
  readonly #references: Reference[] = [];
  /** For each document: the documents that it refers to, and the pointer of a reference. */
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
    // Following a reference can find more schemas, with references of their own.
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

  #visit(location: SchemaLocation, node: SchemaObject): void {
    const { document, pointer } = location;
    for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef']) {
      if (typeof node[keyword] === 'string') this.#references.push({ location, keyword });
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

  #follow({ location, keyword }: Reference): void {
    const { document, pointer } = location;
    const reference = (location.node as SchemaObject)[keyword] as string;
    const target = this.#linker.resolve(location, reference);
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
    // The emitter holds parts of the schema that failed: the others get a new one.
    if (documents.some(isBroken)) {
      this.#spreadErrors(documents);
      return this.#compile(documents.filter((document) => !isBroken(document)));
    }
    return makeValidators(emitter.schemas, keys, this.#patterns, this.#ahead);
  }
}

function isBroken(document: Document): boolean {
  return document.problems.some((problem) => problem.level === 'error');
}
