import type { SourceConfig, VerifyConfig } from '../../config/source/types.ts';
import type { JsonObject } from '../route.ts';

type Requirement = Record<string, string[]>;

/** Default signature header of each scheme. */
const SIGNED: Partial<Record<VerifyConfig['scheme'], string>> = {
  standard: 'webhook-signature',
  svix: 'svix-signature',
  github: 'x-hub-signature-256',
  stripe: 'stripe-signature',
  shopify: 'x-shopify-hmac-sha256',
  slack: 'x-slack-signature',
  twitter: 'x-twitter-webhooks-signature',
  device: 'x-signature',
};

const SCHEMES: JsonObject = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A key of the source, or a token of its issuer.' },
  basic: {
    type: 'http',
    scheme: 'basic',
    description: 'A key of the source as user name; any password, or none.',
  },
  header: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'A key of the source.' },
  query: {
    type: 'apiKey',
    in: 'query',
    name: 'key',
    description:
      'A key of the source, for clients that cannot set a header. Servers on the way may log the key with the URL.',
  },
};

/** The OpenAPI security schemes that the sources need. */
export class Security {
  readonly #schemes: JsonObject = {};

  /** Each requirement lets a sender into at least one of the sources. `{}` means no credentials. */
  requirements(sources: SourceConfig[]): Requirement[] {
    const all = new Map<string, Requirement>();
    for (const source of sources) {
      for (const one of this.#of(source)) all.set(JSON.stringify(one), one);
    }
    const open = all.delete('{}');
    const needs = [...all.values()];
    return open && needs.length > 0 ? [...needs, {}] : needs;
  }

  /** The schemes that `requirements` has named so far. */
  schemes(): JsonObject {
    return this.#schemes;
  }

  #of({ protocol, keys, jwt, verify }: SourceConfig): Requirement[] {
    const ways: Requirement[] = [];
    const names = keys.length > 0 ? Object.keys(SCHEMES) : jwt !== null ? ['bearer'] : [];
    for (const name of names) {
      this.#schemes[name] = SCHEMES[name];
      ways.push({ [name]: [] });
    }
    // A Segment client may send its key in the body.
    if (ways.length === 0 || protocol === 'segment') ways.push({});
    const header = verify === null ? undefined : (verify.header ?? SIGNED[verify.scheme]);
    if (header === undefined) return ways;
    const name = `signature.${header.replace(/[^a-z0-9._-]/g, '')}`;
    this.#schemes[name] = {
      type: 'apiKey',
      in: 'header',
      name: header,
      description: 'A signature of the body.',
    };
    return ways.map((way) => ({ ...way, [name]: [] }));
  }
}
