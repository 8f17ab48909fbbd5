import type { HttpAuth } from '../config/function/types.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import type { TokenSource } from './auth.ts';
import { httpInvoker } from './http.ts';
import type { Invoker, WantsReply } from './invoker.ts';

/** What of a subscription its calls go by. Without a name, the ids of its events are those of its calls. */
export type CallConfig = Pick<SubscriptionConfig, 'name' | 'function' | 'timeout' | 'concurrency'>;

/**
 * What calls a function. `bootstrapServers`: the log's brokers as host:port, joined by commas. Rejects with
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
    // A third of a second and 20 MB, for those who call such a function.
    const { lambdaInvoker } = await import('./lambda.ts');
    return lambdaInvoker({ lambda, timeout, concurrency, bootstrapServers, wantsReply });
  }
  const { http } = target;
  const tokens = await tokensFor(http.auth);
  return httpInvoker({ subscription: name, http, timeout, concurrency, wantsReply, tokens, now: Date.now });
}

async function tokensFor(auth: HttpAuth | null): Promise<TokenSource | null> {
  if (auth === null || !('google' in auth)) return null;
  // A tenth of a second and some MB, for those who call such a function.
  const { googleTokens } = await import('./google.ts');
  return googleTokens({ audience: auth.google.audience, now: Date.now });
}
