import type { RequestError } from '../core/errors.ts';

/** What the gateway needs from the runtime beyond the web's own Request, Response and TextDecoder. */
export interface Platform {
  /** A fixed-size digest (132 bits of SHA-256 as 22 base64 characters) of a text. */
  digest(text: string): string;
  /** SHA-256 in hex. */
  sha256(bytes: Uint8Array): string;
  /** A 32-bit checksum (CRC-32). */
  checksum(bytes: Uint8Array): number;
  /** The content-codings that it can undo. */
  readonly codings: readonly Coding[];
  /**
   * Undoes one of its content-codings. `grow` is told of each piece's bytes before the next one is
   * made; what it throws ends the work. Rejects with RequestError `bad_encoding` when the bytes are cut short,
   * damaged or followed by others.
   */
  inflate(coding: Coding, bytes: Uint8Array, grow: (bytes: number) => void): Promise<Uint8Array>;
  /**
   * Reads the request's body. Rejects with a RequestError: `body_too_large` as soon as `limit` is passed,
   * `body_timeout`, `body_aborted`, or what `grow` throws. `hold.stop` is set while it is read.
   */
  readBody(request: Request, env: unknown, limits: BodyLimits, hold: BodyHold): Promise<Uint8Array>;
  /** A header's value by its lower-case name; undefined when absent. */
  header(request: Request, env: unknown, name: string): string | undefined;
  /** Address of the other end of the connection, without a port; undefined when unknown. */
  peer(request: Request, env: unknown): string | undefined;
  /** All header fields as sent, with lower-case names. */
  headers(request: Request, env: unknown): Iterable<[string, string]>;
  /** Number of header fields of the request as sent. */
  headerCount(request: Request, env: unknown): number;
  /** Whether nobody waits for the reply any more. */
  isGone(request: Request, env: unknown): boolean;
  /**
   * To be asked before work on a request whose body has come. Null: now; else it resolves when others have had their
   * turn. `client` tells whose request it is, as far as that is known.
   */
  enter(client: string | null): Promise<void> | null;
  /** Ends a piece of work; resolves when it is the client's turn again. */
  turn(client: string | null): Promise<void>;
}

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';

export interface BodyLimits {
  /** Bytes. */
  limit: number;
  /** Milliseconds for the whole body. */
  timeout: number;
  /** Bytes a second that must have come on average, once the reading has taken 5 s. */
  rate: number;
}

/** The memory that a request holds while its body is read. */
export interface BodyHold {
  /** Told of bytes before they are kept. Throws RequestError `overloaded`. */
  grow(bytes: number): void;
  /** Ends the reading from outside, with the error that it then rejects with. Null: no body is read. */
  stop: ((error: RequestError) => void) | null;
}

/** Milliseconds in which a body may come as slowly as it likes: a lost packet costs a bad link some seconds. */
const RATE_GRACE_MS = 5_000;

/** Why a body of which so many bytes came in so many milliseconds is given up; null while it is not. */
export function slowness(bytes: number, ms: number, { timeout, rate }: BodyLimits): string | null {
  if (ms >= timeout) return `the body did not come within ${timeout} ms`;
  const isSlow = ms > RATE_GRACE_MS && bytes * 1000 < rate * (ms - RATE_GRACE_MS);
  return isSlow ? `the body came more slowly than ${rate} bytes a second` : null;
}
