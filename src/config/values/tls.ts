import type { Static } from 'typebox';
import type { Path } from '../text/path.ts';
import { object, optional, secret } from './fields.ts';
import type { Reader } from './reader.ts';
import { Type } from './typebox.ts';

/** TLS settings of Kafka, of Redis and of functions. */
export const tls = object(
  {
    ca: optional(
      secret("PEM of the authority that signs the server's certificate. Default: the system's authorities."),
    ),
    cert: optional(secret('PEM of the client certificate.')),
    key: optional(secret("PEM of the client certificate's key.")),
    verify: Type.Boolean({ default: true, description: "Check the server's certificate." }),
  },
  { description: 'Encrypts the connection. {} uses the defaults.' },
);

/** PEM texts; `verify`: whether the server's certificate is checked. */
export type TlsConfig = Static<typeof tls>;

/** TLS settings with their secrets read; null when TLS is off. */
export function readTls(path: Path, raw: TlsConfig | undefined, { secret: read }: Reader): TlsConfig | null {
  if (raw === undefined) return null;
  const pem = (name: 'ca' | 'cert' | 'key') => {
    const text = raw[name];
    return text === undefined ? {} : { [name]: read([...path, name], text) };
  };
  return { ...pem('ca'), ...pem('cert'), ...pem('key'), verify: raw.verify };
}
