import { isObject, type SchemaLocation, type SchemaObject } from './document.ts';
import { type Draft, shapeOf } from './drafts.ts';
import type { Linker } from './link.ts';

/**
 * Dynamic anchors by name, each as the outermost resource has it that does. It only grows on the way in. A schema is
 * rewritten once for each scope that it is reached with, which is mostly one.
 */
type Scope = ReadonlyMap<string, SchemaLocation>;

export interface Emitted {
  location: SchemaLocation;
  /** In keywords of draft 2020-12 only, without identifiers; `$ref` holds the key of another schema. */
  schema: SchemaObject;
  refs: Set<string>;
  /** It has a keyword that needs to know which members or items were evaluated. */
  tracks: boolean;
  /** The schema when it is so short that it is repeated rather than referred to. */
  inline: SchemaObject | null;
}

const MAX_SCHEMAS = 20_000;
/** Characters of JSON: a schema that has no more is repeated wherever it is referred to. */
const MAX_INLINE = 500;
const DYNAMIC = new Set(['$dynamicRef', '$recursiveRef']);

/** Rewrites schemas of all drafts into one dialect with plain references, for one engine. */
export class Emitter {
  readonly schemas = new Map<string, Emitted>();
  readonly #linker: Linker;
  /** Some schema needs to know what was evaluated: keywords are rewritten so that ajv gets that right. */
  readonly #tracks: boolean;
  /** Titles, descriptions and the like are kept. */
  readonly #notes: boolean;
  readonly #keys = new Map<string, string>();
  readonly #numbers = new Map<unknown, number>();
  #current: Emitted | undefined;

  constructor(linker: Linker, tracks: boolean, notes = false) {
    this.#linker = linker;
    this.#tracks = tracks;
    this.#notes = notes;
  }

  /** Key of the rewritten schema at a location; throws when there are too many. */
  target(location: SchemaLocation, scope: Scope = new Map()): string {
    const inner = enter(scope, location);
    const parts = [...inner].map(([name, taken]) => `${JSON.stringify(name)}=${this.#number(taken.node)}`);
    const identity = `${this.#number(location.node)} ${parts.sort().join()}`;
    const known = this.#keys.get(identity);
    if (known !== undefined) return known;
    if (this.#keys.size >= MAX_SCHEMAS) throw new Error('schema has too many references');
    const key = `schema:${this.#keys.size}`;
    this.#keys.set(identity, key);
    const emitted: Emitted = { location, schema: {}, refs: new Set(), tracks: false, inline: null };
    this.schemas.set(key, emitted);
    const outer = this.#current;
    this.#current = emitted;
    const body = this.#emit(location.node, scope);
    const schema = typeof body === 'boolean' ? { allOf: [body] } : body;
    emitted.schema = { $id: key, ...schema };
    const short = emitted.refs.size === 0 && !emitted.tracks && JSON.stringify(schema).length <= MAX_INLINE;
    if (short) emitted.inline = schema;
    this.#current = outer;
    return key;
  }

  #number(node: unknown): number {
    const number = this.#numbers.get(node) ?? this.#numbers.size;
    this.#numbers.set(node, number);
    return number;
  }

  #emit(node: unknown, outer: Scope): SchemaObject | boolean {
    if (!isObject(node)) return node !== false;
    const location = this.#linker.locationOf(node);
    const { draft } = location.resource;
    const scope = enter(outer, location);
    const out: SchemaObject = {};
    const also: unknown[] = [];
    if (draft <= 7 && typeof node.$ref === 'string') return this.#refer(location, '$ref', scope);
    for (const [keyword, value] of Object.entries(node)) {
      const refers = keyword === '$ref' || (DYNAMIC.has(keyword) && shapeOf(keyword, draft) === 'core');
      if (refers) also.push(this.#refer(location, keyword, scope));
      else this.#keyword(out, also, keyword, value, node, draft, scope);
    }
    if (also.length > 0) out.allOf = [...((out.allOf as unknown[]) ?? []), ...also];
    return out;
  }

  #keyword(
    out: SchemaObject,
    also: unknown[],
    keyword: string,
    value: unknown,
    node: SchemaObject,
    draft: Draft,
    scope: Scope,
  ): void {
    const emit = (one: unknown) => this.#emit(one, scope);
    const shape = shapeOf(keyword, draft);
    switch (keyword) {
      case 'items':
        if (!Array.isArray(value)) out.items = emit(value);
        else {
          out.prefixItems = value.map(emit);
          if (node.additionalItems !== undefined) out.items = emit(node.additionalItems);
        }
        return;
      case 'minimum':
      case 'maximum': {
        const exclusive = keyword === 'minimum' ? 'exclusiveMinimum' : 'exclusiveMaximum';
        out[draft === 4 && node[exclusive] === true ? exclusive : keyword] = value;
        return;
      }
      case 'exclusiveMinimum':
      case 'exclusiveMaximum':
        if (draft !== 4) out[keyword] = value;
        return;
      case 'properties':
        this.#properties(out, value as SchemaObject, scope);
        return;
      case 'patternProperties':
        out[keyword] = { ...((out[keyword] as object) ?? {}), ...mapValues(value as SchemaObject, emit) };
        return;
      case 'dependencies':
      case 'dependentRequired':
      case 'dependentSchemas':
        if (shape === undefined) return;
        for (const [name, needed] of Object.entries(value as SchemaObject)) {
          const then = Array.isArray(needed) ? { required: needed } : emit(needed);
          if (name === '__proto__') also.push({ if: { required: [name] }, then });
          else if (Array.isArray(needed)) put(out, 'dependentRequired', name, needed);
          else put(out, 'dependentSchemas', name, then);
        }
        return;
      case 'if':
        if (shape === undefined) return;
        if (!this.#tracks) out[keyword] = emit(value);
        else also.push(this.#branches(value, node, emit));
        return;
      case 'then':
      case 'else':
        if (shape !== undefined && node.if !== undefined && !this.#tracks) out[keyword] = emit(value);
        return;
      case 'contains':
        if (shape === undefined) return;
        if (!this.#tracks) this.#contains(out, node, draft, scope);
        else {
          const inner: SchemaObject = {};
          this.#contains(inner, node, draft, scope);
          // A double negation gives the same result and evaluates nothing.
          also.push({ not: { not: inner } });
        }
        return;
      case 'minContains':
      case 'maxContains':
      case 'additionalItems':
      case 'contentSchema':
      case 'definitions':
      case '$defs':
        return;
      case 'unevaluatedItems':
        if (shape === undefined) return;
        this.#current!.tracks = true;
        // In 2020-12 an item that `contains` matched is evaluated.
        out[keyword] =
          draft === 2020 ? { anyOf: [...this.#contained(node, scope), emit(value)] } : emit(value);
        return;
      case 'unevaluatedProperties':
        if (shape === undefined) return;
        this.#current!.tracks = true;
        break;
    }
    if (shape === 'value' || (shape === 'note' && this.#notes)) out[keyword] = value;
    else if (shape === 'schema') out[keyword] = emit(value);
    else if (shape === 'list') out[keyword] = (value as unknown[]).map(emit);
  }

  /** A condition as two branches: ajv counts what an `if` evaluated even when the `if` failed. */
  #branches(condition: unknown, node: SchemaObject, emit: (one: unknown) => unknown): SchemaObject {
    const holds = emit(condition);
    const then = emit(node.then ?? true);
    return { anyOf: [{ allOf: [holds, then] }, { allOf: [{ not: holds }, emit(node.else ?? true)] }] };
  }

  #contains(out: SchemaObject, node: SchemaObject, draft: Draft, scope: Scope): void {
    out.contains = this.#emit(node.contains, scope);
    for (const limit of ['minContains', 'maxContains']) {
      if (draft >= 2019 && node[limit] !== undefined) out[limit] = node[limit];
    }
  }

  #contained(node: unknown, scope: Scope): unknown[] {
    if (!isObject(node)) return [];
    const own = node.contains === undefined ? [] : [this.#emit(node.contains, scope)];
    const all = Array.isArray(node.allOf) ? node.allOf : [];
    return [...own, ...all.flatMap((one) => this.#contained(one, scope))];
  }

  #properties(out: SchemaObject, properties: SchemaObject, scope: Scope): void {
    out.properties = {};
    for (const [name, one] of Object.entries(properties)) {
      // ajv leaves this name out as a property, but not as a pattern.
      if (name !== '__proto__') put(out, 'properties', name, this.#emit(one, scope));
      else put(out, 'patternProperties', '^__proto__$', this.#emit(one, scope));
    }
  }

  /** The schema for a reference keyword in this scope: a `$ref` to a key, or the whole schema when it is short. */
  #refer(location: SchemaLocation, keyword: string, scope: Scope): SchemaObject {
    const reference = (location.node as SchemaObject)[keyword] as string;
    let target = this.#linker.resolve(location, reference);
    if (typeof target === 'string') throw new Error(`${reference} ${target}`);
    if (DYNAMIC.has(keyword)) {
      const name = keyword === '$recursiveRef' ? '' : reference.slice(reference.indexOf('#') + 1);
      const { dynamic } = target.resource;
      if (dynamic.get(name) === target) target = scope.get(name) ?? target;
    }
    const key = this.target(target, scope);
    const { inline } = this.schemas.get(key)!;
    if (inline !== null) return inline;
    this.#current!.refs.add(key);
    return { $ref: key };
  }
}

function enter(scope: Scope, location: SchemaLocation): Scope {
  const fresh = [...location.resource.dynamic].filter(([name]) => !scope.has(name));
  return fresh.length === 0 ? scope : new Map([...scope, ...fresh]);
}

function put(out: SchemaObject, keyword: string, name: string, value: unknown): void {
  out[keyword] = { ...(out[keyword] as SchemaObject | undefined), [name]: value };
}

function mapValues(map: SchemaObject, change: (value: unknown) => unknown): SchemaObject {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value)]));
}
