import type { SubscriptionConfig } from '../../config-subscription-types.ts';
import { httpInvoker } from './http.ts';
import type { Invoker } from './invoker.ts';
import { lambdaInvoker } from './lambda.ts';

/**
 * What calls a subscription's function. `bootstrapServers`: the log's brokers as host:port, joined by commas.
 * Rejects with TypeError when its settings cannot be used.
 */
export async function makeInvoker(config: SubscriptionConfig, bootstrapServers: string): Promise<Invoker> {
  const { name, function: target, timeout, concurrency } = config;
  if ('lambda' in target) {
    const { lambda } = target;
    const wantsReply = config.reply !== null;
    return lambdaInvoker({ lambda, timeout, concurrency, bootstrapServers, wantsReply });
  }
  return httpInvoker({ subscription: name, http: target.http, timeout, concurrency });
}
