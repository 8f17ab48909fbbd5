import type { RequestError } from '../core/errors.ts';

/**
 * All that a runtime gives to the gateway beyond the web's own Request, Response and TextDecoder. A user takes only the
 * ports that it needs. `env` is the second argument of the app's `fetch`: the server of the runtime decides what it is.
 */
export type Platform = Digests & Inflater & RequestHeaders & RequestConnection & Turns;

export interface Digests {
  /** A fixed-size digest (132 bits of SHA-256 as 22 base64 characters) of a text. */
  digest(text: string): string;
  /** SHA-256 in hex. */
  sha256(bytes: Uint8Array): string;
  /** A 32-bit checksum (CRC-32). */
  checksum(bytes: Uint8Array): number;
}

export interface Inflater {
  /** The content-codings that it can undo. */
  readonly codings: readonly Coding[];
  /**
   * Undoes one of its content-codings. `grow` gets the size of each piece before the next piece is made; an error that
   * it throws ends the work. Rejects with RequestError `bad_encoding` when the bytes are cut short, damaged or followed
   * by others.
   */
  inflate(coding: Coding, bytes: Uint8Array, grow: (bytes: number) => void): Promise<Uint8Array>;
}

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';

export interface RequestHeaders {
  /** A header's value by its lower-case name; undefined when absent. */
  header(request: Request, env: unknown, name: string): string | undefined;
  /** All header fields as sent, with lower-case names. */
  headers(request: Request, env: unknown): Iterable<[string, string]>;
  /** Number of header fields of the request as sent. */
  headerCount(request: Request, env: unknown): number;
}

interface RequestConnection {
  /**
   * Reads the request's body. Rejects with a RequestError: `body_too_large` as soon as there are more than `limit`
   * bytes, `body_timeout`, `body_aborted`, or the error that `grow` throws. Sets `memory.stop` while it reads.
   */
  readBody(request: Request, env: unknown, limits: BodyLimits, memory: BodyMemory): Promise<Uint8Array>;
  /** Address of the other end of the connection, without a port; undefined when unknown. */
  peer(request: Request, env: unknown): string | undefined;
  /** Whether the client has gone, so that nobody waits for the reply. */
  isGone(request: Request, env: unknown): boolean;
}

export interface BodyLimits {
  /** Bytes. */
  limit: number;
  /** Milliseconds for the whole body. */
  timeout: number;
  /** Least bytes a second on average, once the reading has taken 5 s. */
  rate: number;
}

/** The memory that a request holds while its body is read. */
export interface BodyMemory {
  /** Gets the size of bytes before they are kept. Throws RequestError `overloaded`. */
  grow(bytes: number): void;
  /** Ends the reading from outside; the reading then rejects with this error. Null while no body is read. */
  stop: ((error: RequestError) => void) | null;
}

/** Shares the processor between clients. `client` names the client of the request; null when it is not known. */
interface Turns {
  /** Asked before work on a request whose body has arrived. Null: begin now; else resolves when work may begin. */
  enter(client: string | null): Promise<void> | null;
  /** Ends a piece of work; resolves when it is the client's turn again. */
  turn(client: string | null): Promise<void>;
}
