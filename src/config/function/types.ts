import type { TlsConfig } from '../values/tls.ts';

/** Functions as the code uses them: secrets read. */

/** Credentials of a call. */
export type HttpAuth =
  | { bearer: string }
  | { basic: { user: string; password: string } }
  /** An ID token that Google signs for this audience. */
  | { google: { audience: string } }
  /** A key of an Azure function or its host. */
  | { azureKey: string };

export interface HttpFunction {
  url: string;
  mode: 'binary' | 'structured' | 'batch';
  headers: Record<string, string>;
  auth: HttpAuth | null;
  /** Secrets of Standard Webhooks. Each call is signed with all of them. */
  sign: string[];
  tls: TlsConfig | null;
}

export interface LambdaFunction {
  /** Name or ARN, which may have a version or alias. */
  name: string;
  /** Null: the AWS SDK finds one. */
  region: string | null;
  /** URL of another Lambda API; null for AWS. */
  endpoint: string | null;
  invoke: 'sync' | 'async';
}

export type FunctionConfig = { http: HttpFunction } | { lambda: LambdaFunction };

/** Whether a call of the function may have many events. */
export function takesBatches(fn: FunctionConfig): boolean {
  return 'lambda' in fn || fn.http.mode === 'batch';
}

/** Whether only Postern or the connection may set a header of a call. */
export function isReservedHeader(name: string): boolean {
  return RESERVED.test(name);
}

const RESERVED =
  /^(?:ce-.*|webhook-(?:id|timestamp|signature)|content-type|content-length|transfer-encoding|connection|keep-alive|upgrade|expect|traceparent|tracestate|idempotency-key)$/i;
