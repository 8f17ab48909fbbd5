import type { InvokeCommandOutput } from '@aws-sdk/client-lambda';
import { asBuffer, parseJson } from '../cloudevents/record.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { failedOf } from './batch-reply.ts';
import type { Answer, FunctionReply } from './answer.ts';
import type { WantsReply } from './invoker.ts';
import { TransportError } from './lambda-transport.ts';

/** An answer, but for the time that it took. */
export type LambdaAnswer = Omit<Answer, 'ms'>;

/** Bytes of what a function says of its failure. */
const EXCERPT = 1024;
/** Characters of what AWS says. */
const REMARK = 200;
const TIMED_OUT = /Task timed out after [\d.]+ seconds/;
const THROTTLED = /^(?:TooManyRequests|Throttling|RequestLimitExceeded)/;
const RETRIED = new Set([404, 408, 409, 429]);
/** About the payload, which no other call will make better. */
const REFUSED = /^(?:InvalidRequestContent|UnsupportedMediaType|RecursiveInvocation)/;

/** An answer of which only this is known. */
export function answerOf(changes: Partial<LambdaAnswer>): LambdaAnswer {
  return { status: null, fault: null, retryAfter: null, detail: '', failed: null, reply: null, ...changes };
}

/** What came of a function that AWS says was called; `async`: it will be. */
export function lambdaAnswer(
  { StatusCode: status = 200, FunctionError: error, Payload: payload }: InvokeCommandOutput,
  records: readonly StoredRecord[],
  { async, wantsReply }: { async: boolean; wantsReply: WantsReply },
): LambdaAnswer {
  const detail = `HTTP ${status}`;
  if (async) return answerOf({ status, detail });
  const body = asBuffer(payload ?? new Uint8Array());
  // Only this tells of a function that failed: its status is 200.
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

/** A runtime of one's own may answer any text; one that begins as JSON has lost its end, and what it says. */
function textAnswer(status: number, body: Buffer, wantsReply: WantsReply): LambdaAnswer {
  const text = body.toString('utf8', 0, EXCERPT);
  if (TIMED_OUT.test(text)) return failure(status, body);
  const detail = `HTTP ${status}`;
  const reply = wantsReply === 'any' ? { headers: { 'content-type': 'text/plain' }, body } : null;
  if (!/^\s*[[{]/.test(text)) return answerOf({ status, detail, reply });
  return answerOf({ status, fault: 'bad_reply', detail: `${detail}: broken JSON` });
}

/** AWS marks a function's error with a header, the emulator only answers with the error. */
function isErrorDocument(json: unknown): boolean {
  const { errorType, errorMessage, batchItemFailures } = (json ?? {}) as Record<string, unknown>;
  return typeof errorType === 'string' && typeof errorMessage === 'string' && batchItemFailures === undefined;
}

function failure(status: number, body: Buffer): LambdaAnswer {
  const text = Buffer.from(errorText(parseJson(body)) ?? body);
  // `stream`: a character that the cut goes through is left out.
  const detail = new TextDecoder().decode(text.subarray(0, EXCERPT), { stream: true });
  return answerOf({ status, fault: 'function_error', detail });
}

/** What an error document says, or null. Either part may be missing. */
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

/** What came of a call that AWS refused or that did not reach it. `error`: what the SDK rejects with. */
export function refusedAnswer(error: unknown): LambdaAnswer {
  if (error instanceof TransportError) return answerOf({ fault: error.fault, detail: error.message });
  const { name, message, $metadata, $response } = error as SdkError;
  const status = $response?.statusCode ?? $metadata?.httpStatusCode ?? null;
  const body = $response?.body instanceof Uint8Array ? parseJson($response.body) : undefined;
  // What AWS adds on further lines quotes the request, and a session's token in it.
  const remark = `${name}: ${message.split('\n', 1)[0]}`.slice(0, REMARK);
  if (status === null) return answerOf({ fault: 'unreachable', detail: remark });
  const detail = `HTTP ${status}: ${errorText(body)?.slice(0, REMARK) ?? remark}`;
  const retryAfter = $response?.headers?.['retry-after'] ?? null;
  if (THROTTLED.test(name)) return answerOf({ status: 429, retryAfter, detail });
  if (status === 413) return answerOf({ status, fault: 'too_large', detail });
  // A success that cannot be read says nothing of what the function did.
  if (status < 300) return answerOf({ status, fault: 'bad_reply', detail });
  if (status >= 500 || RETRIED.has(status) || REFUSED.test(name)) {
    return answerOf({ status, retryAfter, detail });
  }
  // A login that is over or not allowed, a file system that is away: whatever the events are.
  return answerOf({ status, fault: 'unreachable', retryAfter, detail });
}
