import { Command } from 'ioredis';
import type { Claim } from '../../ports/dedupe-store.ts';

/**
 * A script call whose bytes are made in one go: with hundreds of ids in a call, a list of arguments that
 * the client goes through again and again would cost as much as all the rest.
 */
export class ScriptCall extends Command {
  readonly #text: string;

  /** By digest (`evalsha`) or in full (`eval`), with the arguments of `scriptArguments`. */
  constructor(name: 'evalsha' | 'eval', script: string, args: { count: number; text: string }) {
    super(name);
    this.#text = `*${args.count + 2}\r\n${bulk(name)}${bulk(script)}${args.text}`;
  }

  override toWritable(): string {
    return this.#text;
  }
}

/** The arguments after the script: number of keys, keys, `head`, checksums; as Redis reads them (RESP). */
export function scriptArguments(
  claims: readonly Claim[],
  prefix: string,
  head: (string | number)[],
): { count: number; text: string } {
  const prefixed = Buffer.byteLength(prefix);
  let text = bulk(String(claims.length));
  // Keys are digests, in ASCII.
  for (const { key } of claims) text += `$${prefixed + key.length}\r\n${prefix}${key}\r\n`;
  for (const value of head) text += bulk(String(value));
  for (const claim of claims) {
    // As a signed number: an engine writes those of 32 bits several times faster than others.
    const print = String(claim.print | 0);
    text += `$${print.length}\r\n${print}\r\n`;
  }
  return { count: 1 + claims.length * 2 + head.length, text };
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}
