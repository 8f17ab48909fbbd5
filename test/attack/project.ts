import { generateKeyPairSync } from 'node:crypto';

/** Keys and secrets of the project that is attacked. The attackers know `right` only where an attack says so. */
export const SECRETS = {
  right: 'attack-right-key-0001',
  writeKey: 'attack-write-key-0001',
  good: 'attack-good-key-0001',
  hook: 'attack-hook-secret-0001',
};

export interface Stores {
  /** `host:port` of Kafka; absent: the embedded log. */
  brokers?: string;
  /** Of Redis; absent: the embedded store. */
  redis?: string;
}

/** A shape that each item of `a` breaks, and one of few rules. */
export const SCHEMAS = {
  strict: {
    type: 'object',
    required: ['id', 'type'],
    properties: { a: { type: 'array', items: { type: 'object', required: ['x', 'y'] } } },
  },
};

/**
 * The config that is attacked. `full` has a source of each kind; `bare` has one with a key, and its protocols are the
 * only ones: the paths of others must not be there. `good` and `goodhook` are the good client's.
 */
export function attackedYaml(kind: 'full' | 'bare', { brokers, redis }: Stores): string {
  const prefix = `attack-${crypto.randomUUID().slice(0, 8)}`;
  const log = brokers ? `{ kafka: { brokers: ['${brokers}'] } }` : "{ embedded: { path: '{folder}/data' } }";
  const dedupe = redis
    ? `{ redis: { url: '${redis}', prefix: '${prefix}:' } }`
    : "{ embedded: { path: '{folder}/data' } }";
  const event = `topic: ${prefix}.events, id: [/id], type: /type`;
  const sources = [
    `keyed: { ${event}, keys: ['${SECRETS.right}'] }`,
    `good: { topic: ${prefix}.good, id: [/id], type: good, keys: ['${SECRETS.good}'] }`,
  ];
  if (kind === 'full') {
    sources.push(
      `open: { ${event} }`,
      `strict: { ${event}, schema: strict }`,
      // Ids and types of SenML are made by the gateway.
      `senml: { topic: ${prefix}.events }`,
      `device: { ${event}, verify: { scheme: device, secrets: ['${SECRETS.hook}'] } }`,
      `hmac: { ${event}, verify: { scheme: hmac, header: x-signature, secrets: ['${SECRETS.hook}'] } }`,
      `token: { ${event}, jwt: { jwks: '${keySet()}', issuer: attack, audience: attack } }`,
      `segment: { protocol: segment, topic: ${prefix}.segment, keys: ['${SECRETS.writeKey}'] }`,
      `hook: { protocol: webhook, topic: ${prefix}.hooks, verify: { scheme: github, secrets: ['${SECRETS.hook}'] } }`,
      `goodhook: { protocol: webhook, topic: ${prefix}.goodhooks, verify: { scheme: github, secrets: ['${SECRETS.hook}'] } }`,
    );
  }
  return `
log: ${log}
dedupe: ${dedupe}
schemas: '{folder}/schemas'
sources:
${sources.map((source) => `  ${source}`).join('\n')}
`;
}

function keySet(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'attack', alg: 'ES256' }] });
}
