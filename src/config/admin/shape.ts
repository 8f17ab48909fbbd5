import type { Static } from 'typebox';
import { listen, names, object, secret, section } from '../values/fields.ts';
import { Type } from '../values/typebox.ts';

const tokens = (description: string) =>
  Type.Array(secret('Token.'), { default: [], maxItems: 64, writeOnly: true, description });

export const admin = section(
  {
    listen: listen('127.0.0.1:8081', 'Private address, host:port. Never make it public.'),
    hosts: names('Names that are allowed in the header Host. localhost and IP addresses always are.', []),
    tokens: object(
      {
        read: tokens('Tokens that may only read.'),
        operate: tokens('Tokens that may also change something: retry, cancel.'),
      },
      {
        default: {},
        writeOnly: true,
        description:
          'Sent as Authorization: Bearer. All but /livez, /readyz and /metrics need one, unless there is none and listen is a loopback address.',
      },
    ),
  },
  'Port for health, metrics and workflows.',
);

export type AdminDocument = Static<typeof admin>;
