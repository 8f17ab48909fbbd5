import type { SubscriptionConfig } from '../../config-subscription-types.ts';
import { httpInvoker } from './http.ts';
import type { Invoker } from './invoker.ts';

/** What calls a subscription's function. Rejects with TypeError when its settings cannot be used. */
export async function makeInvoker(config: SubscriptionConfig): Promise<Invoker> {
  const { name, function: target, timeout, concurrency } = config;
  if ('lambda' in target) throw new TypeError('functions of AWS Lambda cannot be called yet');
  return httpInvoker({ subscription: name, http: target.http, timeout, concurrency });
}
