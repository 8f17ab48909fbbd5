import { createHash } from 'node:crypto';
import { Command } from 'ioredis';

/**
 * A script, called by its digest. Its first argument is a deadline: when the server's clock (ms) is past it,
 * the script replies [clock, -1] and does nothing. Otherwise the clock comes first in the reply, too.
 */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/** Keys and arguments as Redis reads them (RESP), and how many there are, the number of keys included. */
export interface Arguments {
  count: number;
  text: string;
  /** With `latin1` each character of the text is a byte. */
  encoding: 'utf8' | 'latin1';
}

/**
 * A script call whose bytes are made in one go: with hundreds of ids in a call, a list of arguments that
 * the client goes through again and again would cost as much as all the rest.
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

  /** Whoever calls a script watches the time itself. */
  override setTimeout(): void {}
}

/** A text as Redis reads it. */
export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}
