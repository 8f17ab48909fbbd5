import {
  type Document,
  isObject,
  type Resource,
  report,
  type SchemaLocation,
  type SchemaObject,
} from './document.ts';
import { type Draft, dialectOf, draftName, draftOf, isOfOtherDraft, likelyTypo, shapeOf } from './drafts.ts';
import { escapeToken } from './faults.ts';

/** Called once for each schema object; its draft is known by then. */
export type Visit = (location: SchemaLocation, node: SchemaObject) => void;

/** Holds all documents and their resources by URI, and resolves references. */
export class Linker {
  readonly #resources = new Map<string, Resource>();
  readonly #paths = new Map<string, Resource>();
  readonly #locations = new Map<object, SchemaLocation>();
  readonly #visit: Visit;
  /** Schemas found only by references, at a location where no keyword has a schema: no meta-schema checks them. */
  readonly strays: SchemaLocation[] = [];
  /** The drafts' own schemas by URI, for a URI that is not known otherwise. */
  readonly #builtIn: (uri: string) => SchemaObject | undefined;

  constructor(visit: Visit, builtIn: (uri: string) => SchemaObject | undefined) {
    this.#visit = visit;
    this.#builtIn = builtIn;
  }

  /** Adds a document; the result holds its problems. */
  add(file: string, path: string, node: SchemaObject | boolean, draft: Draft): Document {
    const document: Document = { file, path, problems: [], root: undefined as never };
    const resource = newResource(path, draft);
    document.root = resource.root = { node, pointer: '', resource, document };
    this.#paths.set(path, resource);
    if (typeof node === 'object') this.#enter(document.root, node, true);
    else this.#register(resource, document, '');
    return document;
  }

  /** The location of a schema object that has been walked through. */
  locationOf(node: object): SchemaLocation {
    const location = this.#locations.get(node);
    if (location === undefined) throw new Error('schema was not walked through');
    return location;
  }

  /** The location that a reference points to, or a text that says why there is none. */
  resolve(from: SchemaLocation, reference: string): SchemaLocation | string {
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

  #findByPath(from: SchemaLocation, reference: string): Resource | undefined {
    if (!URL.canParse(reference, from.document.path)) return undefined;
    const url = new URL(reference, from.document.path);
    url.hash = '';
    // A reference that is only a fragment has been looked up already.
    return reference.startsWith('#') ? undefined : this.#paths.get(url.href);
  }

  #follow(start: Resource, pointer: string): SchemaLocation | undefined {
    let at: unknown = start.root.node;
    let resource = start;
    for (const token of pointer.slice(1).split('/')) {
      const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
      at = (at as SchemaObject)[name];
      resource = this.#locations.get(at as object)?.resource ?? resource;
    }
    const { document } = start.root;
    const location = { node: at as boolean, pointer: start.root.pointer + pointer, resource, document };
    if (typeof at === 'boolean') return location;
    if (!isObject(at)) return undefined;
    if (!this.#locations.has(at)) this.strays.push({ ...location, node: at });
    this.#walk(at, location.pointer, resource, document);
    return this.#locations.get(at);
  }

  #walk(node: unknown, pointer: string, resource: Resource, document: Document): void {
    if (!isObject(node) || this.#locations.has(node)) return;
    this.#enter({ node, pointer, resource, document }, node, false);
  }

  #enter(location: SchemaLocation, node: SchemaObject, isRoot: boolean): void {
    const { pointer, document } = location;
    this.#locations.set(node, location);
    this.#identify(location, node, isRoot);
    const { resource } = location;
    this.#visit(location, node);
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

  /** Decides which resource a schema belongs to: one of its own when it has an id. */
  #identify(location: SchemaLocation, node: SchemaObject, isRoot: boolean): void {
    const { document, pointer } = location;
    let { resource } = location;
    const declared = typeof node.$schema === 'string' ? draftOf(node.$schema) : undefined;
    const draft = declared ?? resource.draft;
    const id = node[draft === 4 ? 'id' : '$id'];
    // Up to draft-07 everything beside `$ref` is ignored. At the root it counts: generators write it there.
    const ignored = draft <= 7 && typeof node.$ref === 'string' && !isRoot;
    const anchorOf = (name: string) => resource.anchors.set(name, location);
    if (typeof id === 'string' && !ignored) {
      if (!URL.canParse(id, resource.uri)) {
        report(document, 'error', pointer, `${draft === 4 ? 'id' : '$id'} is not a valid URI reference`);
      } else {
        const url = new URL(id, resource.uri);
        const fragment = url.hash.slice(1);
        url.hash = '';
        if (isRoot || !id.startsWith('#')) {
          if (isRoot) resource.uri = url.href;
          else location.resource = resource = { ...newResource(url.href, draft), root: location };
          this.#register(resource, document, pointer);
        }
        if (fragment !== '' && draft <= 7) anchorOf(fragment);
      }
    } else if (isRoot) this.#register(resource, document, pointer);
    if (draft < 2019) return;
    if (typeof node.$anchor === 'string') anchorOf(node.$anchor);
    if (draft === 2020 && typeof node.$dynamicAnchor === 'string') {
      anchorOf(node.$dynamicAnchor);
      resource.dynamic.set(node.$dynamicAnchor, location);
    }
    if (draft === 2019 && node.$recursiveAnchor === true && resource.root === location) {
      resource.dynamic.set('', location);
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

function newResource(uri: string, draft: Draft): Resource {
  return { uri, draft, root: undefined as never, anchors: new Map(), dynamic: new Map() };
}

function warnUnknown(document: Document, keyword: string, pointer: string, draft: Draft): void {
  const meant = isOfOtherDraft(keyword) ? undefined : likelyTypo(keyword, draft);
  if (meant !== undefined) report(document, 'error', pointer, `keyword is unknown; is ${meant} meant?`);
  else report(document, 'warning', pointer, `keyword has no meaning in ${draftName(draft)} and is ignored`);
}
