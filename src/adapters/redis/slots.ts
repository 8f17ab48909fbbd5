/** Slots of a cluster. */
const SLOTS = 16_384;
/** Few tags, so that many ids share a call: a call costs about as much as ten ids. */
const TAGS = 64;

/** Redis Cluster keeps all keys that begin with `prefix`, which has a hash tag, in `slot`. */
export interface HashTag {
  prefix: string;
  slot: number;
}

/** Makes tags whose slots are spread evenly. When the prefix itself has a hash tag there is only that one. */
export function makeTags(prefix: string): HashTag[] {
  if (/^[^{]*\{[^}]+\}/.test(prefix)) return [{ prefix, slot: slotOf(prefix) }];
  const tags: HashTag[] = [];
  for (let found = 0, n = 0; found < TAGS; n++) {
    const tagged = `${prefix}{${n.toString(36)}}`;
    const slot = slotOf(tagged);
    const index = Math.floor(slot / (SLOTS / TAGS));
    if (tags[index] !== undefined) continue;
    tags[index] = { prefix: tagged, slot };
    found++;
  }
  return tags;
}

/** The index of the tag for a key, by the key's name without prefix. */
export function tagOf(name: string, tags: readonly HashTag[]): number {
  return tags.length === 1 ? 0 : crc16(name) % tags.length;
}

/** The slot of a key. It depends only on the text in the key's first braces, if there is any. */
export function slotOf(key: string): number {
  const hashed = /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key;
  return crc16(Buffer.from(hashed).toString('latin1')) % SLOTS;
}

/** CRC-16/XMODEM of a latin1 text. By hand: cluster-key-slot takes twice as long, and gets `{}a{b}` wrong. */
function crc16(text: string): number {
  let crc = 0;
  for (let i = 0; i < text.length; i++) {
    crc = ((crc << 8) ^ TABLE[((crc >> 8) ^ text.charCodeAt(i)) & 0xff]!) & 0xffff;
  }
  return crc;
}

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});
