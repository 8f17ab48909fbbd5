import type { Problem } from '../core/problem.ts';
import { type Draft, dialectOf, draftName, draftOf, isOfOtherDraft, likelyTypo, shapeOf } from './drafts.ts';
import { escapeToken } from './faults.ts';

/** A schema resource: what has a URI of its own. */
export interface Resource {
  uri: string;
  draft: Draft;
  root: Place;
  anchors: Map<string, Place>;
  /** Anchors that a schema further out can take over; '' is that of `$recursiveAnchor`. */
  dynamic: Map<string, Place>;
}

/** A schema at its place in a document. */
export interface Place {
  node: SchemaObject | boolean;
  pointer: string;
  resource: Resource;
  document: Document;
}

export interface Document {
  file: string;
  /** Where relative references by path start from. */
  path: string;
  root: Place;
  problems: Problem[];
}

export type SchemaObject = Record<string, unknown>;

/** Looks at each schema object once; `draft` has been found by then. */
export type Visit = (place: Place, node: SchemaObject) => void;

/** All documents, their resources by URI, and what their references point to. */
export class Linker {
  readonly #resources = new Map<string, Resource>();
  readonly #paths = new Map<string, Resource>();
  readonly #places = new Map<object, Place>();
  readonly #visit: Visit;
  /** Schemas where no keyword has one, found by following references: no meta-schema looks at them. */
  readonly strays: Place[] = [];
  /** Documents to look into when a URI is not known, by URI. */
  readonly #builtIn: (uri: string) => SchemaObject | undefined;

  constructor(visit: Visit, builtIn: (uri: string) => SchemaObject | undefined) {
    this.#visit = visit;
    this.#builtIn = builtIn;
  }

  /** Adds a document; its problems are in what is returned. */
  add(file: string, path: string, node: SchemaObject | boolean, draft: Draft): Document {
    const document: Document = { file, path, problems: [], root: undefined as never };
    const resource = newResource(path, draft);
    document.root = resource.root = { node, pointer: '', resource, document };
    this.#paths.set(path, resource);
    if (typeof node === 'object') this.#enter(document.root, node, true);
    else this.#register(resource, document, '');
    return document;
  }

  /** The place of a schema object that has been walked through. */
  placeOf(node: object): Place {
    const place = this.#places.get(node);
    if (place === undefined) throw new Error('schema was not walked through');
    return place;
  }

  /** What a reference at a place points to, or a text that says why nothing. */
  resolve(from: Place, reference: string): Place | string {
    let url: URL;
    let fragment: string;
    try {
      url = new URL(reference, from.resource.uri);
      fragment = decodeURIComponent(url.hash.slice(1));
    } catch {
      return 'is not a valid URI reference';
    }
    url.hash = '';
    const resource = this.#find(url.href) ?? this.#findByPath(from, reference);
    if (resource === undefined) return 'is not in the schema folder, and nothing is fetched';
    if (fragment === '') return resource.root;
    if (!fragment.startsWith('/')) {
      return resource.anchors.get(fragment) ?? `names an anchor that ${url.href} does not have`;
    }
    return this.#follow(resource, fragment) ?? 'points to nothing, or to what is not a schema';
  }

  #find(uri: string): Resource | undefined {
    const known = this.#resources.get(uri) ?? this.#paths.get(uri);
    if (known !== undefined) return known;
    const draft = draftOf(uri);
    const builtIn = this.#builtIn(draft === undefined ? uri : dialectOf(draft));
    if (builtIn === undefined) return undefined;
    const own = draft ?? (uri.includes('2019-09') ? 2019 : 2020);
    return this.add(uri, uri, builtIn, own).root.resource;
  }

  #findByPath(from: Place, reference: string): Resource | undefined {
    if (!URL.canParse(reference, from.document.path)) return undefined;
    const url = new URL(reference, from.document.path);
    url.hash = '';
    // A reference that is only a fragment has been looked up already.
    return reference.startsWith('#') ? undefined : this.#paths.get(url.href);
  }

  #follow(start: Resource, pointer: string): Place | undefined {
    let at: unknown = start.root.node;
    let resource = start;
    for (const token of pointer.slice(1).split('/')) {
      const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
      at = (at as SchemaObject)[name];
      resource = this.#places.get(at as object)?.resource ?? resource;
    }
    const { document } = start.root;
    const place = { node: at as boolean, pointer: start.root.pointer + pointer, resource, document };
    if (typeof at === 'boolean') return place;
    if (!isObject(at)) return undefined;
    if (!this.#places.has(at)) this.strays.push({ ...place, node: at });
    this.#walk(at, place.pointer, resource, document);
    return this.#places.get(at);
  }

  #walk(node: unknown, pointer: string, resource: Resource, document: Document): void {
    if (!isObject(node) || this.#places.has(node)) return;
    this.#enter({ node, pointer, resource, document }, node, false);
  }

  #enter(place: Place, node: SchemaObject, isRoot: boolean): void {
    const { pointer, document } = place;
    this.#places.set(node, place);
    this.#identify(place, node, isRoot);
    const { resource } = place;
    this.#visit(place, node);
    for (const [keyword, value] of Object.entries(node)) {
      const at = `${pointer}/${escapeToken(keyword)}`;
      const shape = shapeOf(keyword, resource.draft);
      const each = (values: object) => {
        for (const [name, one] of Object.entries(values)) {
          this.#walk(one, `${at}/${escapeToken(name)}`, resource, document);
        }
      };
      if (shape === undefined) warnUnknown(document, keyword, at, resource.draft);
      else if (shape === 'schema') this.#walk(value, at, resource, document);
      else if (shape === 'items' && isObject(value)) this.#walk(value, at, resource, document);
      else if (!['list', 'map', 'items', 'dependencies'].includes(shape)) continue;
      else if (typeof value === 'object' && value !== null) each(value);
    }
  }

  /** Finds out which resource a schema belongs to: its own when it has an id. */
  #identify(place: Place, node: SchemaObject, isRoot: boolean): void {
    const { document, pointer } = place;
    let { resource } = place;
    const declared = typeof node.$schema === 'string' ? draftOf(node.$schema) : undefined;
    const draft = declared ?? resource.draft;
    const id = node[draft === 4 ? 'id' : '$id'];
    // Up to draft-07 everything beside `$ref` is ignored. At the root generators mean it all the same.
    const ignored = draft <= 7 && typeof node.$ref === 'string' && !isRoot;
    const anchorOf = (name: string) => resource.anchors.set(name, place);
    if (typeof id === 'string' && !ignored) {
      if (!URL.canParse(id, resource.uri)) {
        report(document, 'error', pointer, `${draft === 4 ? 'id' : '$id'} is not a valid URI reference`);
      } else {
        const url = new URL(id, resource.uri);
        const fragment = url.hash.slice(1);
        url.hash = '';
        if (isRoot || !id.startsWith('#')) {
          if (isRoot) resource.uri = url.href;
          else place.resource = resource = { ...newResource(url.href, draft), root: place };
          this.#register(resource, document, pointer);
        }
        if (fragment !== '' && draft <= 7) anchorOf(fragment);
      }
    } else if (isRoot) this.#register(resource, document, pointer);
    if (draft < 2019) return;
    if (typeof node.$anchor === 'string') anchorOf(node.$anchor);
    if (draft === 2020 && typeof node.$dynamicAnchor === 'string') {
      anchorOf(node.$dynamicAnchor);
      resource.dynamic.set(node.$dynamicAnchor, place);
    }
    if (draft === 2019 && node.$recursiveAnchor === true && resource.root === place) {
      resource.dynamic.set('', place);
    }
  }

  #register(resource: Resource, document: Document, pointer: string): void {
    const other = this.#resources.get(resource.uri);
    if (other !== undefined) {
      const where = `${other.root.document.file}#${other.root.pointer}`;
      report(document, 'error', pointer, `has the same id as ${where}: ${resource.uri}`);
    } else this.#resources.set(resource.uri, resource);
  }
}

/** Adds a problem to a document. */
export function report(document: Document, level: Problem['level'], pointer: string, message: string): void {
  document.problems.push({ level, file: document.file, pointer, message });
}

function newResource(uri: string, draft: Draft): Resource {
  return { uri, draft, root: undefined as never, anchors: new Map(), dynamic: new Map() };
}

function warnUnknown(document: Document, keyword: string, pointer: string, draft: Draft): void {
  const meant = isOfOtherDraft(keyword) ? undefined : likelyTypo(keyword, draft);
  if (meant !== undefined) report(document, 'error', pointer, `keyword is unknown; is ${meant} meant?`);
  else report(document, 'warning', pointer, `keyword has no meaning in ${draftName(draft)} and is ignored`);
}

/** True for JSON objects. */
export function isObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
