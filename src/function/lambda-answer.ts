import type { InvokeCommandOutput } from '@aws-sdk/client-lambda';
import { asBuffer, parseJson } from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import type { FunctionReply, UntimedAnswer } from './answer.ts';
import { failedOf } from './batch-reply.ts';
import type { WantsReply } from './invoker.ts';
import { TransportError } from './lambda-transport.ts';

/** Bytes shown of a function's error. */
const EXCERPT = 1024;
/** Characters shown of an error of AWS. */
const REMARK = 200;
const TIMED_OUT = /Task timed out after [\d.]+ seconds/;
const THROTTLED = /^(?:TooManyRequests|Throttling|RequestLimitExceeded)/;
const RETRIED = new Set([404, 408, 409, 429]);
/** Errors about the payload, which a retry cannot mend. */
const REFUSED = /^(?:InvalidRequestContent|UnsupportedMediaType|RecursiveInvocation)/;

/** An answer with these members; the others are empty. */
export function answerOf(changes: Partial<UntimedAnswer>): UntimedAnswer {
  return { status: null, fault: null, retryAfter: null, detail: '', failed: null, reply: null, ...changes };
}

/** The answer of a function that AWS has called, or with `async` has queued. */
export function lambdaAnswer(
  { StatusCode: status = 200, FunctionError: error, Payload: payload }: InvokeCommandOutput,
  records: readonly StoredRecord[],
  { async, wantsReply }: { async: boolean; wantsReply: WantsReply },
): UntimedAnswer {
  const detail = `HTTP ${status}`;
  if (async) return answerOf({ status, detail });
  const body = asBuffer(payload ?? new Uint8Array());
  // Only this shows that the function failed: the status is 200.
  if (error !== undefined) return failure(status, body);
  if (body.length === 0) return answerOf({ status, detail });
  const json = parseJson(body);
  if (json === undefined) return textAnswer(status, body, wantsReply);
  if (isErrorDocument(json)) return failure(status, body);
  const failed = failedOf(json, records);
  if (failed === 'malformed') {
    return answerOf({ status, fault: 'bad_reply', detail: `${detail}: malformed batchItemFailures` });
  }
  return answerOf({ status, detail, failed, reply: replyOf(json, body, wantsReply) });
}

/** A custom runtime may answer any text. A text that begins like JSON but cannot be parsed is cut. */
function textAnswer(status: number, body: Buffer, wantsReply: WantsReply): UntimedAnswer {
  const text = body.toString('utf8', 0, EXCERPT);
  if (TIMED_OUT.test(text)) return failure(status, body);
  const detail = `HTTP ${status}`;
  const reply = wantsReply === 'any' ? { headers: { 'content-type': 'text/plain' }, body } : null;
  if (!/^\s*[[{]/.test(text)) return answerOf({ status, detail, reply });
  return answerOf({ status, fault: 'bad_reply', detail: `${detail}: broken JSON` });
}

/** Whether it is an error document: AWS marks a function's error with a header, but the emulator only sends the document. */
function isErrorDocument(json: unknown): boolean {
  const { errorType, errorMessage, batchItemFailures } = (json ?? {}) as Record<string, unknown>;
  return typeof errorType === 'string' && typeof errorMessage === 'string' && batchItemFailures === undefined;
}

function failure(status: number, body: Buffer): UntimedAnswer {
  const text = Buffer.from(errorText(parseJson(body)) ?? body);
  // With `stream`, a character that is cut in two is left out.
  const detail = new TextDecoder().decode(text.subarray(0, EXCERPT), { stream: true });
  return answerOf({ status, fault: 'function_error', detail });
}

/** The text of an error document, or null. Either part may be missing. */
function errorText(json: unknown): string | null {
  const { errorType, errorMessage } = (json ?? {}) as Record<string, unknown>;
  const parts = [errorType, errorMessage].filter((part) => typeof part === 'string');
  return parts.length === 0 ? null : parts.join(': ');
}

function replyOf(json: unknown, body: Buffer, wantsReply: WantsReply): FunctionReply | null {
  if (wantsReply === false) return null;
  if (wantsReply === 'any') return { headers: { 'content-type': 'application/json' }, body };
  const isBatch = Array.isArray(json) && json.length > 0;
  if (!isBatch && !isEvent(json)) return null;
  if (isBatch && !json.every(isEvent)) return null;
  const type = isBatch ? 'application/cloudevents-batch+json' : 'application/cloudevents+json';
  return { headers: { 'content-type': type }, body };
}

/** A CloudEvent in structured form. */
function isEvent(json: unknown): boolean {
  return typeof (json as { specversion?: unknown } | null)?.specversion === 'string';
}

interface SdkError extends Error {
  $metadata?: { httpStatusCode?: number };
  $response?: { statusCode?: number; headers?: Record<string, string>; body?: unknown };
}

/** The answer of a call that AWS refused or that did not reach it. `error`: the SDK's. */
export function refusedAnswer(error: unknown): UntimedAnswer {
  if (error instanceof TransportError) return answerOf({ fault: error.fault, detail: error.message });
  const { name, message, $metadata, $response } = error as SdkError;
  const status = $response?.statusCode ?? $metadata?.httpStatusCode ?? null;
  const body = $response?.body instanceof Uint8Array ? parseJson($response.body) : undefined;
  // Further lines of AWS's message quote the request, with a session token.
  const remark = `${name}: ${message.split('\n', 1)[0]}`.slice(0, REMARK);
  if (status === null) return answerOf({ fault: 'unreachable', detail: remark });
  const detail = `HTTP ${status}: ${errorText(body)?.slice(0, REMARK) ?? remark}`;
  const retryAfter = $response?.headers?.['retry-after'] ?? null;
  if (THROTTLED.test(name)) return answerOf({ status: 429, retryAfter, detail });
  if (status === 413) return answerOf({ status, fault: 'too_large', detail });
  // A success that cannot be read does not show what the function did.
  if (status < 300) return answerOf({ status, fault: 'bad_reply', detail });
  if (status >= 500 || RETRIED.has(status) || REFUSED.test(name)) {
    return answerOf({ status, retryAfter, detail });
  }
  // Such as expired credentials or a missing file system: no event causes that.
  return answerOf({ status, fault: 'unreachable', retryAfter, detail });
}
