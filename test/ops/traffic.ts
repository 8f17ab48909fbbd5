import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * New events, repeated ones, refused ones, signed and badly signed webhooks, and what there is no source for, for as
 * long as `goesOn`. `secret` is that of the webhooks.
 */
export async function sendAll(gateway: string, secret: string, goesOn: () => boolean): Promise<void> {
  const post = async (path: string, body: string, headers: Record<string, string> = {}) => {
    const type = { 'content-type': 'application/json' };
    const reply = await fetch(`${gateway}${path}`, {
      method: 'POST',
      body,
      headers: { ...type, ...headers },
    });
    await reply.arrayBuffer();
  };
  for (let round = 0; goesOn(); round++) {
    const page = Array.from({ length: 10 }, (_, n) => ({ id: `${round}:${n}`, n }));
    const repeated = { id: `${round - 1}:0`, n: 0 };
    const hook = JSON.stringify({ action: 'opened', round });
    const signature = createHmac('sha256', secret).update(hook).digest('hex');
    const signed = {
      'x-github-event': 'issues',
      'x-github-delivery': `${round}`,
      'x-hub-signature-256': `sha256=${signature}`,
    };
    await Promise.all([
      post('/events/web', JSON.stringify([...page, repeated, { id: `${round}:bad`, n: 'x' }])),
      post('/webhooks/hooks', hook, signed),
      post('/webhooks/hooks', `${hook} `, signed),
      post('/events/nobody', '{}'),
    ]);
    // Some twenty rounds a second are enough to move every counter.
    await sleep(50);
  }
}
