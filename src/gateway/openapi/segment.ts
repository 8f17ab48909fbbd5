import type { Call } from '../formats/segment.ts';
import type { JsonObject, Route } from '../route.ts';

/** What a kind of call must have besides who it is about, and an example of it. */
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

/** Schemas of the calls of the Segment spec and of their batches. */
export function segmentSchemas(): JsonObject {
  const id = (description: string) => ({ type: ['string', 'number'], minLength: 1, description });
  const properties = {
    messageId: { type: 'string', minLength: 1, description: 'The id of the call; made here when absent.' },
    userId: id('The user, once known.'),
    anonymousId: id('The visitor before that.'),
    event: { type: 'string', minLength: 1, description: 'What was done.' },
    groupId: id('The group that the user belongs to.'),
    previousId: id('What the user was known by before.'),
    name: { type: 'string', description: 'Of the page or screen.' },
    properties: { type: 'object' },
    traits: { type: 'object' },
    context: { type: 'object' },
    integrations: { type: 'object' },
    timestamp: { type: 'string', format: 'date-time' },
    writeKey: { type: 'string', description: 'The key of the source, for clients that can set no header.' },
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
    description: 'Calls, each with its type; context and integrations count for all of them.',
    required: ['batch'],
    properties: {
      batch: { type: 'array', items: { anyOf: items } },
      context: { type: 'object' },
      integrations: { type: 'object' },
      sentAt: {
        type: 'string',
        format: 'date-time',
        description: "By the client's clock: times are set right by it.",
      },
      writeKey: properties.writeKey,
    },
  };
  return { ...Object.fromEntries(calls), 'Segment.batch': batch };
}

/** The body of a path for one kind of call; null: for a batch. */
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
