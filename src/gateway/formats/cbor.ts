import { EVENT_COST, VALUE_COST } from '../../config/gateway/limits.ts';
import { RequestError } from '../../core/errors.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { parseJson } from '../../json/parse.ts';
import { type CborItem, readCbor } from './cbor-text.ts';
import { refusedEvent, sizeFault } from './event.ts';
import { jsonEvent } from './json.ts';
import { decodeSenml } from './senml.ts';
import type { DecodeContext, Decoding } from './source.ts';

/** SenML's integer labels (RFC 8428 section 6). */
const LABELS = new Map([
  [-1, 'bver'],
  [-2, 'bn'],
  [-3, 'bt'],
  [-4, 'bu'],
  [-5, 'bv'],
  [-6, 'bs'],
  [0, 'n'],
  [1, 'u'],
  [2, 'v'],
  [3, 'vs'],
  [4, 'vb'],
  [5, 's'],
  [6, 't'],
  [7, 'ut'],
  [8, 'vd'],
]);

/**
 * A body that is one CBOR map or an array of them; each event's data is the same as JSON. Throws RequestError
 * when it is no valid CBOR.
 */
export function* decodeCbor(bytes: Uint8Array, context: DecodeContext): Decoding {
  if (bytes.length === 0) throw new RequestError('empty_body', 'send a CBOR map or an array of maps');
  const { items, array } = readCbor(bytes, context.limits);
  let index = 0;
  for (const item of items) {
    context.grow(EVENT_COST + item.text.length + item.values * VALUE_COST);
    yield eventOf(item, index++, !array, bytes, context);
  }
}

function eventOf(
  { start, end, text, faults }: CborItem,
  index: number,
  soleEvent: boolean,
  body: Uint8Array,
  context: DecodeContext,
): DecodedEvent {
  const line = null;
  if (faults.length > 0) {
    // An item that has no JSON form is kept as CBOR.
    const headers = { ...context.trace, 'content-type': 'application/cbor' };
    return refusedEvent({ index, line }, body.subarray(start, end), faults, headers);
  }
  const bytes = new TextEncoder().encode(text);
  const fault = sizeFault(bytes.length, context);
  const json = fault === null ? parseJson(text) : undefined;
  return jsonEvent({ index, line, soleEvent, bytes, json, fault }, context);
}

/** SenML in CBOR: read as the same pack in JSON. */
export function* decodeSenmlCbor(bytes: Uint8Array, context: DecodeContext): Decoding {
  if (bytes.length === 0) throw new RequestError('empty_body', 'send a SenML pack');
  const { items, array } = readCbor(bytes, context.limits, LABELS);
  if (!array) throw new RequestError('bad_senml', 'a pack must be an array of records');
  const texts: string[] = [];
  for (const { text, faults } of items) {
    const fault = faults[0];
    if (fault)
      throw new RequestError(fault.code, `record ${texts.length}${fault.pointer ?? ''}: ${fault.detail}`);
    context.grow(2 * text.length);
    texts.push(text);
    yield null;
  }
  yield* decodeSenml(new TextEncoder().encode(`[${texts.join(',')}]`), context, bytes);
}
