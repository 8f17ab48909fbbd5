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
   * Undoes one of its content-codings. Rejects with a RequestError: `body_too_large` over `limit` bytes,
   * `bad_encoding` when cut short, damaged or followed by other bytes.
   */
  inflate(coding: Coding, bytes: Uint8Array, limit: number): Promise<Uint8Array>;
  /**
   * Reads the request's body. Rejects with a RequestError: `body_too_large` as soon as `limit` is passed,
   * `body_timeout`, `body_aborted`. `grow` is told of each chunk's bytes before they are kept.
   */
  readBody(request: Request, env: unknown, options: ReadOptions): Promise<Uint8Array>;
  /** A header's value by its lower-case name; undefined when absent. */
  header(request: Request, env: unknown, name: string): string | undefined;
  /** Address of the other end of the connection, without a port; undefined when unknown. */
  peer(request: Request, env: unknown): string | undefined;
  /** All header fields as sent, with lower-case names. */
  headers(request: Request, env: unknown): Iterable<[string, string]>;
  /** Number of header fields of the request as sent. */
  headerCount(request: Request, env: unknown): number;
}

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';

export interface ReadOptions {
  /** Bytes. */
  limit: number;
  /** Milliseconds for the whole body. */
  timeout: number;
  grow(bytes: number): void;
}
