import { ATTRIBUTE_BYTES, type Attributes, fillHeaders, isReserved } from '../../cloudevents/attributes.ts';
import type { DecodedEvent } from '../../core/event.ts';
import { unusable } from '../../core/header-text.ts';
import { fillKey } from './fields.ts';
import { type DecodeContext, identityOf, refuse } from './source.ts';

/** Bytes that an attribute takes beside its text, for as long as the request lasts. */
const ATTRIBUTE_COST = 64;
/** Errors of one event: more are told to nobody. */
const MAX_ERRORS = 20;

/**
 * Checks attributes (CloudEvents 3.1) and makes them the event's; `nameOf` says in errors where one was. What a
 * client says under a name that the gateway vouches for is left out.
 */
export function fillAttributes(
  event: DecodedEvent,
  attributes: Attributes,
  context: DecodeContext,
  nameOf: (name: string) => string,
): void {
  let count = 0;
  for (const name in attributes) {
    if (isReserved(name)) delete attributes[name];
    else count++;
  }
  context.grow(count * ATTRIBUTE_COST);
  fillHeaders(event.headers, attributes, { id: context.limits.id, bytes: ATTRIBUTE_BYTES }, (name, why) => {
    if (event.errors.length >= MAX_ERRORS) return;
    if (name === '') refuse(event, 'bad_cloudevent', `event ${why}`, '#');
    else refuse(event, 'bad_cloudevent', `${nameOf(name)} ${why}`, `#/${name}`);
  });
  event.headers.ce_time ??= context.receivedAt;
  if (typeof attributes.id === 'string') event.id = attributes.id;
  if (event.errors.length === 0) {
    event.identity = identityOf(context.source, attributes.source as string, `s${event.id}`);
  } else if (unusable(event.id, context.limits.id) !== null) {
    event.id = '';
  }
}

/** The Kafka key: from the data, else the partitionkey extension. */
export function fillKeys(event: DecodedEvent, context: DecodeContext, attributes: Attributes): void {
  fillKey(event, context);
  const { partitionkey } = attributes;
  if (event.key !== null || typeof partitionkey !== 'string' || partitionkey === '') return;
  const why = unusable(partitionkey, context.limits.key);
  if (why === null) event.key = partitionkey;
  else refuse(event, 'key_invalid', why, '#/partitionkey');
}
