import type { Static } from 'typebox';
import { choice, duration, object, optional, optionalSize, pointer, secret, text } from '../values/fields.ts';
import { Type } from '../values/typebox.ts';

const verify = object(
  {
    scheme: Type.Enum(
      ['standard', 'svix', 'github', 'stripe', 'shopify', 'slack', 'twitter', 'hmac', 'device'],
      {
        type: 'string',
        description: 'Scheme. hmac: set by the settings here. device: one key per device.',
      },
    ),
    secrets: Type.Array(secret('Secret or public key.'), {
      minItems: 1,
      maxItems: 8,
      description: 'One must match.',
    }),
    format: optional(
      Type.Enum(['json', 'lines', 'cloudevents', 'senml'], {
        type: 'string',
        description:
          'For protocol events: format of the body, as its Content-Type is not signed. Default: json (also CBOR).',
      }),
    ),
    tolerance: duration('5m', 'Largest difference of a signed time from now.'),
    header: optional(text('For hmac and device: header of the signature.')),
    hash: choice(['sha256', 'sha1', 'sha512'], 'sha256', 'For hmac: the hash function.'),
    encoding: choice(['hex', 'base64'], 'hex', 'For hmac and device: encoding of the signature.'),
    prefix: Type.String({
      default: '',
      description: 'For hmac: text before the signature, such as sha256=.',
    }),
    template: Type.String({
      default: '{body}',
      pattern: '\\{body\\}',
      description: 'For hmac: the signed text, with {body}, and perhaps {timestamp} and {id}.',
    }),
    timestamp: optional(
      text(
        'For hmac and device: header of the signed time in s. Device: x-timestamp by default; none: no time is signed.',
      ),
    ),
    id: optional(text('For hmac: header of the delivery id. For device: header of the device id.')),
  },
  { description: 'Signature that every request must have. It covers the body as sent.' },
);

/** The algorithms of RFC 7518 and RFC 8037 with a public key: it can check a token but not make one. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

const jwt = object(
  {
    jwks: secret("The issuer's public keys: URL of a JWK Set, or the set itself."),
    issuer: optional(text('Value that the claim iss must have.')),
    audience: optional(text('Value that the claim aud must hold.')),
    algorithms: Type.Array(Type.Enum(ALGORITHMS, { type: 'string' }), {
      default: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      minItems: 1,
      description: 'Signature algorithms that are accepted.',
    }),
  },
  { description: 'Accepts a JSON Web Token, sent as Authorization: Bearer.' },
);

const perSecond = {
  events: optional(Type.Integer({ minimum: 1, maximum: 10_000_000, description: 'Events a second.' })),
  // No default: a rate of events alone does not limit bytes.
  bytes: optionalSize('Bytes a second, of bodies after content-decoding.'),
};

const rate = object(
  {
    ...perSecond,
    key: optional(object(perSecond, { description: 'Limits for each key or token subject.' })),
  },
  { description: 'Limits for all gateways together. Requests over a limit get 429.' },
);

export const source = object({
  protocol: choice(
    ['events', 'segment', 'webhook'],
    'events',
    'events: POST /events/{source}; segment: POST /v1/..., selected by the key; webhook: POST /webhooks/{source}.',
  ),
  keys: Type.Array(
    Type.Unsafe<string | { id: string; key: string }>({
      type: ['string', 'object'],
      title: 'a secret, or {id, key}',
      writeOnly: true,
      properties: {
        id: Type.String({ minLength: 1, maxLength: 64, description: 'Name of the key in logs.' }),
        key: secret('The key.'),
      },
      required: ['id', 'key'],
      additionalProperties: false,
    }),
    {
      default: [],
      description:
        'A client needs one. Without keys, jwt and verify anybody may send. Text, a variable, or file:/path.',
    },
  ),
  jwt: optional(jwt),
  verify: optional(verify),
  origins: optional(
    Type.Array(Type.String(), {
      description: 'Origins of web pages that may send. Default: gateway.cors.',
    }),
  ),
  rate: optional(rate),
  topic: Type.String({ description: 'Topic for the events. Rejected events go to {topic}.rejected.' }),
  id: optional(
    Type.Unsafe<'content' | string[]>({
      type: ['string', 'array'],
      title: '"content" or a list of JSON Pointers, such as [/deviceId, /seq]',
      pattern: '^content$',
      items: pointer('Pointer to a part of the id.'),
      minItems: 1,
      maxItems: 8,
      description: "Pointers to the parts of the id; content: the payload's digest. Default: client headers.",
    }),
  ),
  identity: choice(
    ['source', 'key'],
    'source',
    'Where an id is unique: in the source, or for each key or token subject of it.',
  ),
  type: optional(text('Event type: a constant, or a JSON Pointer to it.')),
  time: optional(pointer('Pointer to the time.')),
  subject: optional(pointer('Pointer to the subject.')),
  key: optional(pointer('Pointer to the Kafka key. Events with the same key keep their order.')),
  schema: optional(
    Type.Unsafe<string | Record<string, string>>({
      type: ['string', 'object'],
      title: "a schema's name, a JSON Pointer to it, or a map from event type to name",
      minLength: 1,
      additionalProperties: Type.String({ minLength: 1 }),
      description: "A schema's name, a JSON Pointer to it, or a map from event type to name.",
    }),
  ),
  batch: choice(
    ['each', 'all-or-nothing'],
    'each',
    'all-or-nothing: one bad event rejects the others of its request.',
  ),
});

export type SourceDocument = Static<typeof source>;
