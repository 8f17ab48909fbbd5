import { createHash } from 'node:crypto';
import { Command } from 'ioredis';

/**
 * A Lua script, called by its digest. Its first argument is a deadline in ms of the server's clock. The reply begins with
 * that clock. After the deadline the script does nothing and replies [clock, -1].
 */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/** The arguments of a script call, already in RESP, the protocol of Redis. */
export interface Arguments {
  /** Number of arguments: the number of keys, the keys and the other values. */
  count: number;
  text: string;
  /** With `latin1` each character of the text is a byte. */
  encoding: 'utf8' | 'latin1';
}

/**
 * A script call that is encoded here at once. A call has hundreds of ids. ioredis goes through a list of arguments several
 * times, which would double the cost of a call.
 */
export class ScriptCall extends Command {
  readonly #bytes: Buffer;

  /** By digest (`evalsha`) or in full (`eval`). */
  constructor(name: 'evalsha' | 'eval', script: string, args: Arguments) {
    super(name);
    this.#bytes = Buffer.from(
      `*${args.count + 2}\r\n${bulk(name)}${bulk(script)}${args.text}`,
      args.encoding,
    );
  }

  override toWritable(): Buffer {
    return this.#bytes;
  }

  /** No timer of ioredis: server.ts has its own for the whole call. */
  override setTimeout(): void {}
}

/** A bulk string of RESP. */
export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

/** Arguments of a script call, the number of keys first. */
export function listed(values: readonly (string | number)[]): Arguments {
  const text = values.map((value) => bulk(String(value))).join('');
  return { count: values.length, text, encoding: 'utf8' };
}
