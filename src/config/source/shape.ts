import { choice, duration, object, optional, optionalSize, pointer, secret } from '../fields.ts';
import { Type } from '../typebox.ts';

/** The shape of a source in the config. */

const SECRET = 'Text, a variable, or file:/path.';

const verify = object(
  {
    scheme: Type.Enum(
      ['standard', 'svix', 'github', 'stripe', 'shopify', 'slack', 'twitter', 'hmac', 'device'],
      { type: 'string', description: 'Whose signatures; hmac: as described here; device: a key per device.' },
    ),
    secrets: Type.Array(secret(SECRET), { minItems: 1, maxItems: 8, description: 'Any of them is right.' }),
    format: optional(
      Type.Enum(['json', 'lines', 'cloudevents', 'senml'], {
        type: 'string',
        description:
          'For protocol events: how signed bodies are read, as their Content-Type is not signed. Default: json (also CBOR).',
      }),
    ),
    tolerance: duration('5m', 'That a signed time may be off, for schemes that sign one.'),
    header: optional(Type.String({ minLength: 1, description: 'For hmac and device: of the signature.' })),
    hash: choice(['sha256', 'sha1', 'sha512'], 'sha256', 'For hmac.'),
    encoding: choice(['hex', 'base64'], 'hex', 'For hmac and device: of the signature.'),
    prefix: Type.String({ default: '', description: 'For hmac: before the signature, such as sha256=.' }),
    template: Type.String({
      default: '{body}',
      pattern: '\\{body\\}',
      description: 'For hmac: what is signed; may hold {timestamp} and {id}.',
    }),
    timestamp: optional(
      Type.String({
        minLength: 1,
        description:
          'Header of the signed time, in s. For hmac; for device x-timestamp, or none for devices that sign only the body.',
      }),
    ),
    id: optional(
      Type.String({
        minLength: 1,
        description: 'For hmac: header of the delivery id; for device: of the device id.',
      }),
    ),
  },
  { description: 'Signature that every request must have, over the body as sent.' },
);

/** Those of RFC 7518 and RFC 8037 in which who checks a token can't make one. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

const jwt = object(
  {
    jwks: secret("The issuer's keys: https URL of a JWK Set, or the set itself, or file:/path."),
    issuer: optional(Type.String({ minLength: 1, description: 'That iss must be.' })),
    audience: optional(Type.String({ minLength: 1, description: 'That aud must hold.' })),
    algorithms: Type.Array(Type.Enum(ALGORITHMS, { type: 'string' }), {
      default: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      minItems: 1,
      description: 'Of signatures that are right; all are of public keys.',
    }),
  },
  { description: 'Lets clients in that present a JSON Web Token as Bearer.' },
);

const perSecond = {
  events: optional(Type.Integer({ minimum: 1, maximum: 10_000_000, description: 'A second.' })),
  // Without a standard value: a rate of events alone is none of bytes.
  bytes: optionalSize('A second, of bodies after their content-encoding.'),
};

const rate = object(
  { ...perSecond, key: optional(object(perSecond, { description: 'Of each key, or token subject.' })) },
  { description: 'Most that is taken, all gateways together; beyond it 429.' },
);

export const source = object({
  protocol: choice(
    ['events', 'segment', 'webhook'],
    'events',
    'events: POST /events/{source}; segment: POST /v1/..., chosen by the key; webhook: POST /webhooks/{source}.',
  ),
  keys: Type.Array(
    Type.Unsafe<string | { id: string; key: string }>({
      type: ['string', 'object'],
      title: 'a secret, or {id, key}',
      writeOnly: true,
      properties: {
        id: Type.String({ minLength: 1, maxLength: 64, description: 'What logs call it.' }),
        key: secret(SECRET),
      },
      required: ['id', 'key'],
      additionalProperties: false,
    }),
    { default: [], description: `Any of them lets a client in; none: anybody may send. ${SECRET}` },
  ),
  jwt: optional(jwt),
  verify: optional(verify),
  origins: optional(
    Type.Array(Type.String(), {
      description: 'Web pages that may send here, and no others; else gateway.cors.',
    }),
  ),
  rate: optional(rate),
  topic: Type.String({ description: 'Kafka topic; refused events go to {topic}.rejected.' }),
  id: optional(
    Type.Unsafe<'content' | string[]>({
      type: ['string', 'array'],
      title: '"content" or a list of JSON Pointers, such as [/deviceId, /seq]',
      pattern: '^content$',
      items: pointer('Where a part of the id is.'),
      minItems: 1,
      maxItems: 8,
      description: "Pointers, joined; or content: the payload's digest. Absent: from the client's headers.",
    }),
  ),
  identity: choice(
    ['source', 'key'],
    'source',
    'Whose ids are apart: those of the source, or those of each key or token subject of it.',
  ),
  type: optional(Type.String({ minLength: 1, description: 'A constant, or a JSON Pointer.' })),
  time: optional(pointer('Where the time is.')),
  subject: optional(pointer('Where the subject is.')),
  key: optional(pointer('Where the Kafka key is: events of one key keep their order.')),
  schema: optional(
    Type.Unsafe<string | Record<string, string>>({
      type: ['string', 'object'],
      title: "a schema's name, a JSON Pointer to it, or a map from event type to name",
      minLength: 1,
      additionalProperties: Type.String({ minLength: 1 }),
      description: "A schema's name, a JSON Pointer to it, or a map from event type to name.",
    }),
  ),
  batch: choice(['each', 'all-or-nothing'], 'each', 'What one bad event does to the others of its request.'),
});
