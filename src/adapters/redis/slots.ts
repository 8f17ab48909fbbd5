/** Slots of a cluster. */
const SLOTS = 16_384;
/** Places in which keys of a cluster are kept: a call costs about as much as ten ids, so ids share few places. */
const PLACES = 64;

/** Keys that begin with `prefix` are all in `slot`. */
export interface Place {
  prefix: string;
  slot: number;
}

/**
 * Places spread evenly over the slots, each made by a name in braces after the prefix; only one when the prefix
 * itself has such a name.
 */
export function makePlaces(prefix: string): Place[] {
  if (/^[^{]*\{[^}]+\}/.test(prefix)) return [{ prefix, slot: slotOf(prefix) }];
  const places: Place[] = [];
  for (let found = 0, n = 0; found < PLACES; n++) {
    const tagged = `${prefix}{${n.toString(36)}}`;
    const slot = slotOf(tagged);
    const index = Math.floor(slot / (SLOTS / PLACES));
    if (places[index] !== undefined) continue;
    places[index] = { prefix: tagged, slot };
    found++;
  }
  return places;
}

/** The place of a key, by its name without prefix. */
export function placeOf(name: string, places: readonly Place[]): number {
  return places.length === 1 ? 0 : crc16(name) % places.length;
}

/** The slot that a cluster keeps a key in: by what is in its first braces, if anything is. */
export function slotOf(key: string): number {
  const hashed = /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key;
  return crc16(Buffer.from(hashed).toString('latin1')) % SLOTS;
}

/** CRC-16/XMODEM, of characters up to 255. */
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
