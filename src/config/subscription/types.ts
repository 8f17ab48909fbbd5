import type { TlsConfig } from '../config.ts';

/** Subscriptions as the code uses them: durations in milliseconds, sizes in bytes, secrets read. */

/** How a function knows that we may call it. */
export type HttpAuth =
  | { bearer: string }
  | { basic: { user: string; password: string } }
  /** An ID token that Google signs for the audience: the function's URL unless named. */
  | { google: { audience: string } }
  /** A key of an Azure function or its host. */
  | { azureKey: string };

export interface HttpFunction {
  url: string;
  mode: 'binary' | 'structured' | 'batch';
  headers: Record<string, string>;
  auth: HttpAuth | null;
  /** Secrets of Standard Webhooks; each call is signed with all of them. */
  sign: string[];
  tls: TlsConfig | null;
}

export interface LambdaFunction {
  /** Name or ARN, with a version or alias if any. */
  name: string;
  /** Null: what the AWS SDK finds. */
  region: string | null;
  /** URL of another Lambda API; null for AWS. */
  endpoint: string | null;
  invoke: 'sync' | 'async';
}

export type FunctionConfig = { http: HttpFunction } | { lambda: LambdaFunction };

/** A filter of the CloudEvents Subscriptions API, section 3.2.4: attributes and what they must be. */
export type AttributeFilter =
  | { exact: Record<string, string> }
  | { prefix: Record<string, string> }
  | { suffix: Record<string, string> }
  | { all: AttributeFilter[] }
  | { any: AttributeFilter[] }
  | { not: AttributeFilter };

export interface SubscriptionConfig {
  name: string;
  /** Consumer group. */
  group: string;
  topics: string[];
  from: 'earliest' | 'latest';
  /** CEL, or null for every event. */
  filter: string | null;
  /** All must hold, before `filter` is asked. */
  filters: AttributeFilter[];
  function: FunctionConfig;
  /** Milliseconds for one call. */
  timeout: number;
  /** Calls at once. */
  concurrency: number;
  /** Calls a second; null for no limit. */
  rate: number | null;
  /** `key`: events of one key one after the other. */
  order: 'key' | 'none';
  /** Of functions that take many events: a call is made at `events` events, after `wait` ms, or at `size` bytes, whichever is first. */
  batch: { events: number; wait: number; size: number };
  /** Attempts in all (1 = no retry); the wait grows from `min` to `max` ms, doubling, with full jitter. */
  retry: { attempts: number; min: number; max: number };
  /** Milliseconds after the first attempt of an event in which another may begin; null: no limit. */
  retryAge: number | null;
  /** Milliseconds for which a delivered event is remembered, so that it is not delivered again after a crash; null: not at all. */
  dedupe: number | null;
  /** Topic for what could not be delivered. */
  deadLetter: string;
  /** Topic of dead letters that are delivered again; null: it is not read. */
  redrive: string | null;
  /** Topic for the events that the function answers with. */
  reply: string | null;
  /** Milliseconds without calls after which the function is called to keep it warm; null: never. */
  warm: number | null;
}

/** Whether a call of the function may carry many events. */
export function takesBatches(fn: FunctionConfig): boolean {
  return 'lambda' in fn || fn.http.mode === 'batch';
}

/** Whether a header of calls is Postern's or the connection's to set. */
export function isReservedHeader(name: string): boolean {
  return RESERVED.test(name);
}

const RESERVED =
  /^(?:ce-.*|webhook-(?:id|timestamp|signature)|content-type|content-length|transfer-encoding|connection|keep-alive|upgrade|expect|traceparent|tracestate|idempotency-key)$/i;
