/** Fractional parts of square and cube roots of the first primes (FIPS 180-4, 4.2.2 and 5.3.3). */
function roots(): { initial: number[]; rounds: Int32Array } {
  const initial: number[] = [];
  const rounds = new Int32Array(64);
  const part = (root: number) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  for (let n = 2, count = 0; count < 64; n++) {
    let isPrime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) isPrime = false;
    if (!isPrime) continue;
    if (count < 8) initial.push(part(Math.sqrt(n)));
    rounds[count++] = part(Math.cbrt(n));
  }
  return { initial, rounds };
}

/**
 * SHA-256 (FIPS 180-4) for runtimes whose own answers later: what decides on a request, such as its key, is then told
 * without waiting.
 */
export function makeSha256(): (bytes: Uint8Array) => Uint8Array {
  const { initial, rounds } = roots();
  const w = new Int32Array(64);

  function block(h: Int32Array, view: DataView, at: number): void {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
    }
    let a = h[0]!;
    let b = h[1]!;
    let c = h[2]!;
    let d = h[3]!;
    let e = h[4]!;
    let f = h[5]!;
    let g = h[6]!;
    let k = h[7]!;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (k + s1 + ((e & f) ^ (~e & g)) + rounds[i]! + w[i]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      k = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    h[0] = h[0]! + a;
    h[1] = h[1]! + b;
    h[2] = h[2]! + c;
    h[3] = h[3]! + d;
    h[4] = h[4]! + e;
    h[5] = h[5]! + f;
    h[6] = h[6]! + g;
    h[7] = h[7]! + k;
  }

  return (bytes) => {
    const h = Int32Array.from(initial);
    const whole = bytes.length - (bytes.length % 64);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < whole; at += 64) block(h, view, at);
    const rest = bytes.subarray(whole);
    const tail = new Uint8Array(rest.length < 56 ? 64 : 128);
    tail.set(rest);
    tail[rest.length] = 0x80;
    const end = new DataView(tail.buffer);
    end.setBigUint64(tail.length - 8, BigInt(bytes.length) * 8n);
    for (let at = 0; at < tail.length; at += 64) block(h, end, at);
    const digest = new Uint8Array(32);
    const out = new DataView(digest.buffer);
    for (let i = 0; i < 8; i++) out.setInt32(4 * i, h[i]!);
    return digest;
  };
}
