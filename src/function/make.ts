import type { HttpAuth } from '../config/function/types.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import type { TokenSource } from './auth.ts';
import { httpInvoker } from './http.ts';
import type { Invoker, WantsReply } from './invoker.ts';

/** The part of a subscription that its calls need. With an empty name, the id of an event identifies its call. */
export type CallConfig = Pick<SubscriptionConfig, 'name' | 'function' | 'timeout' | 'concurrency'>;

/**
 * Makes the invoker of a function. `bootstrapServers`: the log's brokers as host:port, joined by commas. Rejects with
 * TypeError when its settings cannot be used.
 */
export async function makeInvoker(
  config: CallConfig,
  bootstrapServers: string,
  wantsReply: WantsReply = false,
): Promise<Invoker> {
  const { name, function: target, timeout, concurrency } = config;
  if ('lambda' in target) {
    const { lambda } = target;
    // Loading it takes a third of a second and 20 MB, so only when it is needed.
    const { lambdaInvoker } = await import('./lambda.ts');
    return lambdaInvoker({ lambda, timeout, concurrency, bootstrapServers, wantsReply });
  }
  const { http } = target;
  const tokens = await tokensFor(http.auth);
  return httpInvoker({ subscription: name, http, timeout, concurrency, wantsReply, tokens, now: Date.now });
}

async function tokensFor(auth: HttpAuth | null): Promise<TokenSource | null> {
  if (auth === null || !('google' in auth)) return null;
  // Loading it takes a tenth of a second and some MB, so only when it is needed.
  const { googleTokens } = await import('./google.ts');
  return googleTokens({ audience: auth.google.audience, now: Date.now });
}
