import type { Problem } from '../core/problem.ts';
import type { Draft } from './drafts.ts';

/** One file of schemas, or one of the drafts' own. */
export interface Document {
  file: string;
  /** Relative references by path start from this URI. */
  path: string;
  root: SchemaLocation;
  problems: Problem[];
}

/** A schema resource (2020-12, section 4.3.5): a schema that has a URI of its own, with all inside it that has none. */
export interface Resource {
  uri: string;
  draft: Draft;
  root: SchemaLocation;
  anchors: Map<string, SchemaLocation>;
  /** Anchors that a schema further out can take over; '' is that of `$recursiveAnchor`. */
  dynamic: Map<string, SchemaLocation>;
}

/** A schema and where it is in its document. */
export interface SchemaLocation {
  node: SchemaObject | boolean;
  pointer: string;
  resource: Resource;
  document: Document;
}

export type SchemaObject = Record<string, unknown>;

/** Adds a problem to a document. */
export function report(document: Document, level: Problem['level'], pointer: string, message: string): void {
  document.problems.push({ level, file: document.file, pointer, message });
}

/** True for JSON objects. */
export function isObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
