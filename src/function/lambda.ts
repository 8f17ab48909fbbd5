import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { LambdaFunction } from '../config/function/types.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import type { CallFault, UntimedAnswer } from './answer.ts';
import type { Caller, Invocation, Invoker, WantsReply } from './invoker.ts';
import { answerOf, lambdaAnswer, refusedAnswer } from './lambda-answer.ts';
import { kafkaEvent, kafkaEventSize } from './lambda-event.ts';
import { lambdaTransport } from './lambda-transport.ts';
import { MAX_TIMER } from './retry.ts';

/** Bytes of JSON. AWS refuses a call of this size or more; the limit of an asynchronous one is lower. */
const SYNC_SIZE = 6 * 1024 * 1024;
const ASYNC_SIZE = 1024 * 1024;

export interface LambdaInvokerOptions {
  lambda: LambdaFunction;
  /** Milliseconds for a whole call. */
  timeout: number;
  /** Calls at once. */
  concurrency: number;
  /** The brokers named in the event: host:port, joined by commas. */
  bootstrapServers: string;
  wantsReply: WantsReply;
}

/** Calls a function of AWS Lambda. Rejects with TypeError when no region is known. */
export async function lambdaInvoker(options: LambdaInvokerOptions): Promise<Invoker> {
  const { lambda, timeout, concurrency, bootstrapServers, wantsReply } = options;
  const client = new LambdaClient({
    ...(lambda.region === null ? {} : { region: lambda.region }),
    ...(lambda.endpoint === null ? {} : { endpoint: lambda.endpoint }),
    // Retries are the subscription's task, not the SDK's.
    maxAttempts: 1,
    retryMode: 'standard',
    requestHandler: lambdaTransport(concurrency),
  });
  await client.config.region().catch((error: Error) => {
    throw new TypeError(`function.lambda.region: ${error.message}`);
  });
  const async = lambda.invoke === 'async';
  const limit = async ? ASYNC_SIZE : SYNC_SIZE;

  async function invoke(
    payload: Uint8Array,
    records: readonly StoredRecord[],
    call: LambdaCall,
  ): Promise<UntimedAnswer> {
    const refused = await credentialFault(client);
    if (refused !== null) return refused;
    call.isAllowed = true;
    const command = new InvokeCommand({
      FunctionName: lambda.name,
      InvocationType: async ? 'Event' : 'RequestResponse',
      Payload: payload,
    });
    const output = await client.send(command, { abortSignal: call.signal });
    return lambdaAnswer(output, records, { async, wantsReply });
  }

  const invoker: Invoker = {
    invoke(records: readonly StoredRecord[], caller: Caller, fresh: boolean): Invocation {
      const call = new LambdaCall(caller, timeout, fresh);
      const payload = kafkaEvent(records, bootstrapServers);
      if (payload.length >= limit) {
        call.end(answerOf({ fault: 'too_large', detail: `${payload.length} bytes of JSON, of ${limit}` }));
      } else {
        const done = invoke(payload, records, call).catch(refusedAnswer);
        void done.then((answer) => call.end(answer));
      }
      return call;
    },
    sizeOf: (record) => kafkaEventSize(record, bootstrapServers),
    // The function gets an event without records.
    warm: () => new Promise((resolve) => invoker.invoke([], { answered: () => resolve() }, true)),
    close: async () => client.destroy(),
  };
  return invoker;
}

/**
 * Gets the credentials before each call; the SDK caches them. So a refusal by their source is not mistaken for an answer
 * of Lambda about an event.
 */
async function credentialFault(client: LambdaClient): Promise<UntimedAnswer | null> {
  try {
    await client.config.credentials();
    return null;
  } catch (error) {
    return { ...refusedAnswer(error), status: null, fault: 'unreachable' };
  }
}

class LambdaCall implements Invocation {
  readonly #caller: Caller;
  readonly #fresh: boolean;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #controller = new AbortController();
  #ended = false;
  /** It has credentials. */
  isAllowed = false;

  constructor(caller: Caller, timeout: number, fresh: boolean) {
    this.#caller = caller;
    this.#fresh = fresh;
    this.#timer = setTimeout(timedOut, Math.min(timeout, MAX_TIMER), this);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(): void {
    this.fail('aborted', 'given up');
  }

  fail(fault: CallFault, detail: string): void {
    this.end(answerOf({ fault, detail }));
    this.#controller.abort();
  }

  end(answer: UntimedAnswer): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    const stale = answer.fault === 'stale_connection' && !this.#fresh;
    const fault = stale ? 'connection_lost' : answer.fault;
    this.#caller.answered({ ...answer, fault, ms: performance.now() - this.#started });
  }
}

function timedOut(call: LambdaCall): void {
  if (call.isAllowed) call.fail('timeout', 'no whole answer in time');
  else call.fail('unreachable', 'no credentials in time');
}
