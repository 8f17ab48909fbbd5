import { createHmac } from 'node:crypto';
import { RequestError } from '../../src/core/errors.ts';
import type { Head } from '../../src/gateway/body/head.ts';
import type { SignatureCheck } from '../../src/gateway/signature/check.ts';

export type Sent = Record<string, string>;

export const seconds = (offset = 0) => Math.floor(Date.now() / 1000) + offset;

export function hmac(
  key: string | Uint8Array,
  text: string | Uint8Array,
  encoding: 'hex' | 'base64' = 'hex',
  hash = 'sha256',
): string {
  return createHmac(hash, key).update(text).digest(encoding);
}

/** Headers of a GitHub delivery. */
export function githubHeaders(secret: string, body: string | Uint8Array, event: string, id: string): Sent {
  return {
    'x-hub-signature-256': `sha256=${hmac(secret, body)}`,
    'x-github-event': event,
    'x-github-delivery': id,
  };
}

/** Headers of a Slack request. */
export function slackHeaders(secret: string, body: string, time: number | string = seconds()): Sent {
  return {
    'x-slack-signature': `v0=${hmac(secret, `v0:${time}:${body}`)}`,
    'x-slack-request-timestamp': String(time),
  };
}

/** Headers of a device that signs the time and the body with its own key. */
export function deviceHeaders(
  master: string,
  device: string,
  body: string,
  time: number | string = seconds(),
): Sent {
  return {
    'x-device-id': device,
    'x-timestamp': String(time),
    'x-signature': hmac(hmac(master, device), `${time}.${body}`),
  };
}

function headOf(headers: Sent): Head {
  return {
    method: 'POST',
    path: '/webhooks/s',
    param: () => 's',
    header: (name) => headers[name],
    headers: () => Object.entries(headers),
    query: () => undefined,
    queries: () => [],
  };
}

/** What a check says of a request: the place of the secret that matched, or the reason of the refusal. */
export async function verdictOf(
  check: SignatureCheck,
  headers: Sent,
  body: string | Uint8Array,
): Promise<number | string> {
  try {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    return (await check(bytes, headOf(headers))).secret;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return error.reason ?? error.code;
  }
}
