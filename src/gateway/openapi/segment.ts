import type { Call } from '../formats/segment.ts';
import type { JsonObject, Route } from '../route.ts';

/** The members that a kind of call must have besides a user id, and an example. */
const KINDS: Record<Call, { required: string[]; example: JsonObject }> = {
  identify: { required: [], example: { userId: 'u-17', traits: { plan: 'pro' } } },
  track: {
    required: ['event'],
    example: { userId: 'u-17', event: 'Order Completed', properties: { total: 43.9 } },
  },
  page: { required: [], example: { anonymousId: 'a-42', name: 'Pricing', properties: { path: '/pricing' } } },
  screen: { required: [], example: { anonymousId: 'a-42', name: 'Home' } },
  group: { required: ['groupId'], example: { userId: 'u-17', groupId: 'g-3', traits: { name: 'Acme' } } },
  alias: { required: ['previousId', 'userId'], example: { previousId: 'a-42', userId: 'u-17' } },
};

const nameOf = (call: Call) => `Segment.${call}`;
const ref = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });
const withId = (call: Call): JsonObject => ({ messageId: `m-${call}-4711`, ...KINDS[call].example });

/** Schemas of the calls of the Segment spec, and of a batch. */
export function segmentSchemas(): JsonObject {
  const id = (description: string) => ({ type: ['string', 'number'], minLength: 1, description });
  const properties = {
    messageId: {
      type: 'string',
      minLength: 1,
      description: 'The id of the call. The gateway makes one when it is absent.',
    },
    userId: id('The id of a known user.'),
    anonymousId: id('The id of a visitor who is not known yet.'),
    event: { type: 'string', minLength: 1, description: 'The name of the action.' },
    groupId: id('The group of the user.'),
    previousId: id('The earlier id of the user.'),
    name: { type: 'string', description: 'The name of the page or screen.' },
    properties: { type: 'object' },
    traits: { type: 'object' },
    context: { type: 'object' },
    integrations: { type: 'object' },
    timestamp: { type: 'string', format: 'date-time' },
    writeKey: { type: 'string', description: 'The key of the source, for clients that cannot set a header.' },
  };
  const calls = (Object.keys(KINDS) as Call[]).map((call): [string, JsonObject] => [
    nameOf(call),
    {
      type: 'object',
      description: `A ${call} call of the Segment spec.`,
      required: KINDS[call].required,
      properties,
      ...(call === 'alias' ? {} : { anyOf: [{ required: ['userId'] }, { required: ['anonymousId'] }] }),
    },
  ]);
  const items = (Object.keys(KINDS) as Call[]).map((call) => ({
    allOf: [ref(nameOf(call)), { required: ['type'], properties: { type: { const: call } } }],
  }));
  const batch = {
    type: 'object',
    description: 'Calls, each with its type. Context and integrations apply to all of them.',
    required: ['batch'],
    properties: {
      batch: { type: 'array', items: { anyOf: items } },
      context: { type: 'object' },
      integrations: { type: 'object' },
      sentAt: {
        type: 'string',
        format: 'date-time',
        description:
          'The time of sending by the clock of the client. The gateway corrects timestamps with it.',
      },
      writeKey: properties.writeKey,
    },
  };
  return { ...Object.fromEntries(calls), 'Segment.batch': batch };
}

/** The body of a path for one kind of call, or for a batch (null). */
export function segmentBody(call: Call | null): NonNullable<Route['body']> {
  const example =
    call === null
      ? { batch: (['identify', 'track'] as const).map((type) => ({ type, ...withId(type) })) }
      : withId(call);
  const schema = ref(call === null ? 'Segment.batch' : nameOf(call));
  return (type) =>
    type === 'text/plain'
      ? {
          schema: { type: 'string', description: 'The same JSON, for browsers: it needs no preflight.' },
          example: JSON.stringify(example),
        }
      : { schema, example };
}
