import type { SourceConfig, VerifyConfig } from '../../config/source/types.ts';
import type { JsonObject } from '../route.ts';

type Requirement = Record<string, string[]>;

/** Headers of the schemes that have their own. */
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
      'A key of the source, for clients that can set no header. Addresses end up in logs on the way.',
  },
};

/** How sources are opened: the ways that at least one of them takes, and what each way is. */
export class Security {
  readonly #schemes: JsonObject = {};

  /** Any of these opens one of the sources; `{}` stands for nothing at all. */
  requirements(sources: SourceConfig[]): Requirement[] {
    const all = new Map<string, Requirement>();
    for (const source of sources) {
      for (const one of this.#of(source)) all.set(JSON.stringify(one), one);
    }
    const open = all.delete('{}');
    const needs = [...all.values()];
    return open && needs.length > 0 ? [...needs, {}] : needs;
  }

  /** Those that `requirements` has named. */
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
    // A Segment client may have its key in the body.
    if (ways.length === 0 || protocol === 'segment') ways.push({});
    const header = verify === null ? undefined : (verify.header ?? SIGNED[verify.scheme]);
    if (header === undefined) return ways;
    const name = `signature.${header.replace(/[^a-z0-9._-]/g, '')}`;
    this.#schemes[name] = {
      type: 'apiKey',
      in: 'header',
      name: header,
      description: 'A signature of the body, made with the secret that sender and gateway share.',
    };
    return ways.map((way) => ({ ...way, [name]: [] }));
  }
}
