const HASHES = { sha1: 'SHA-1', sha256: 'SHA-256', sha512: 'SHA-512' };

export type Hash = keyof typeof HASHES;
export type Bytes = Uint8Array<ArrayBuffer>;
export type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

const encoder = new TextEncoder();

/** Computes HMACs (RFC 2104) with the secrets of a source. */
export interface Macs {
  /** Number of secrets. */
  count: number;
  of(secret: number, message: Uint8Array): Promise<Bytes>;
}

/** Keys are imported at their first use: some runtimes allow no cryptography before the first request. */
export function makeMacs(secrets: Uint8Array[], hash: Hash): Macs {
  const keys: (Promise<Key> | undefined)[] = [];
  return {
    count: secrets.length,
    async of(secret, message) {
      keys[secret] ??= importMacKey(secrets[secret]!, hash);
      return mac(await keys[secret], message);
    },
  };
}

export function importMacKey(bytes: Uint8Array, hash: Hash): Promise<Key> {
  const algorithm = { name: 'HMAC', hash: HASHES[hash] };
  return crypto.subtle.importKey('raw', bytes as Bytes, algorithm, false, ['sign']);
}

export async function mac(key: Key, message: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, message as Bytes));
}

export function bytesOf(text: string): Bytes {
  return encoder.encode(text);
}

export function joined(parts: Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Compares in a time that does not depend on where the bytes differ, so that it tells an attacker nothing. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}
