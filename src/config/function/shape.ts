import type { Static } from 'typebox';
import { choice, map, object, optional, secret, text } from '../values/fields.ts';
import { tls } from '../values/tls.ts';
import { Type } from '../values/typebox.ts';

const http = object({
  url: Type.String({ description: 'URL, http or https.' }),
  mode: choice(
    ['binary', 'structured', 'batch'],
    'binary',
    'How a call holds events, in CloudEvents modes. binary and structured: one event. batch: many.',
  ),
  headers: map(secret('Value of the header.'), 'Further request headers.'),
  auth: optional(
    object(
      {
        bearer: optional(secret('Token.')),
        basic: optional(
          object({
            user: Type.String({ minLength: 1 }),
            password: secret('Password.'),
          }),
        ),
        google: optional(
          object({
            audience: optional(text("Audience of the ID token. Default: the function's URL.")),
          }),
        ),
        azureKey: optional(secret('Key of an Azure function.')),
      },
      { description: 'Credentials of the calls: one of bearer, basic, google (an ID token) and azureKey.' },
    ),
  ),
  sign: Type.Array(secret('whsec_ and the base64 of 24 to 64 bytes.'), {
    default: [],
    description: 'Secrets that sign each call (Standard Webhooks). Use two to replace one by the other.',
  }),
  tls: optional(tls),
});

const lambda = object({
  name: text('Name or ARN of the function. It may have a version or alias.'),
  region: optional(text('AWS region. Default: the region of the environment.')),
  endpoint: optional(text('URL of another Lambda API than that of AWS.')),
  invoke: choice(
    ['sync', 'async'],
    'sync',
    'sync: the call waits for the result. async: AWS queues the call, and its result stays unknown.',
  ),
});

export const functionShape = object(
  { http: optional(http), lambda: optional(lambda) },
  { description: 'Function to call: one of http and lambda.' },
);

export type FunctionDocument = Static<typeof functionShape>;
