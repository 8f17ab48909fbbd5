import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqliteEventLog } from '../../src/adapters/sqlite/event-log.ts';
import type { HttpFunction } from '../../src/config/function/types.ts';
import type { SubscriptionConfig } from '../../src/config/subscription/types.ts';
import {
  type Dispatcher,
  type DispatcherOptions,
  startDispatcher,
} from '../../src/dispatcher/subscriptions.ts';
import type { Consumption, EventLog, LogRecord, StoredRecord } from '../../src/ports/event-log.ts';
import type { LogReader } from '../../src/ports/log-reader.ts';
import type {
  BreakerFact,
  DeliveryFact,
  DeliveryOutcome,
  ReplyFact,
  Report,
  UnrememberedFact,
} from '../../src/ports/report.ts';
import { awaitRecords } from '../contracts/read-topic.ts';
import { within } from '../services/until.ts';
import { bodyOf, httpFunction, type TestServer } from './functions.ts';

/** Something to await: `until` resolves as soon as its condition holds after a change, and rejects after a minute. */
export class Changes {
  #waiting: { holds: () => boolean; resolve: () => void }[] = [];

  changed(): void {
    const met = this.#waiting.filter(({ holds }) => holds());
    this.#waiting = this.#waiting.filter((one) => !met.includes(one));
    for (const { resolve } of met) resolve();
  }

  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    const met = new Promise<void>((resolve) => this.#waiting.push({ holds, resolve }));
    return within(String(holds), met);
  }
}

/** Keeps what the dispatcher reports. */
class Facts extends Changes {
  readonly all: DeliveryFact[] = [];
  readonly breakers: BreakerFact[] = [];
  readonly replies: ReplyFact[] = [];
  readonly unknown: UnrememberedFact[] = [];

  readonly report: Report = (fact) => {
    if (fact.kind === 'delivery') this.all.push(fact);
    else if (fact.kind === 'breaker') this.breakers.push(fact);
    else if (fact.kind === 'reply') this.replies.push(fact);
    else if (fact.kind === 'unremembered') this.unknown.push(fact);
    this.changed();
  };

  events(outcome: DeliveryOutcome, subscription?: string): number {
    return this.all
      .filter((one) => one.outcome === outcome && (subscription ?? one.subscription) === one.subscription)
      .reduce((sum, { events }) => sum + events, 0);
  }

  reasons(outcome: DeliveryOutcome): (string | null)[] {
    return this.all.filter((one) => one.outcome === outcome).map(({ reason }) => reason);
  }
}

export interface Received {
  id: string;
  request: IncomingMessage;
  body: string;
}

/** A function that keeps the ids it got. `answer` ends the response, else it is a 200. */
export class TestFunction extends Changes {
  readonly received: Received[] = [];
  server!: TestServer;

  static async start(
    answer: (one: Received, response: ServerResponse) => unknown = (_, response) => response.end(),
  ): Promise<TestFunction> {
    const made = new TestFunction();
    made.server = await httpFunction(async (request, response) => {
      const body = (await bodyOf(request).catch(() => null))?.toString();
      // The call was aborted.
      if (body === undefined) return;
      const one = { id: String(request.headers['ce-id'] ?? ''), request, body };
      made.received.push(one);
      await answer(one, response);
      made.changed();
    });
    return made;
  }

  get ids(): string[] {
    return this.received.map(({ id }) => id);
  }
}

/** A log in a folder of its own, and everything that must be closed at the end. */
export class Rig {
  readonly facts = new Facts();
  log!: EventLog & LogReader;
  #path = '';
  readonly #functions: TestFunction[] = [];
  readonly #dispatchers: Dispatcher[] = [];

  async open(): Promise<void> {
    this.#path = await mkdtemp(join(tmpdir(), 'postern-dispatcher-'));
    this.log = this.#openLog();
  }

  async close(): Promise<void> {
    for (const dispatcher of this.#dispatchers) await dispatcher.stop(100);
    for (const one of this.#functions) await one.server.close();
    await this.log.close();
    await rm(this.#path, { recursive: true });
  }

  /** Closes and opens the log, as a new process would. */
  async reopen(): Promise<void> {
    await this.log.close();
    this.log = this.#openLog();
  }

  async function(answer?: Parameters<typeof TestFunction.start>[0]): Promise<TestFunction> {
    const made = await TestFunction.start(answer);
    this.#functions.push(made);
    return made;
  }

  async start(
    subscriptions: SubscriptionConfig[],
    log: EventLog = this.log,
    more: Partial<DispatcherOptions> = {},
  ): Promise<Dispatcher> {
    const dispatcher = await startDispatcher({ subscriptions, log, report: this.facts.report, ...more });
    this.#dispatchers.push(dispatcher);
    return dispatcher;
  }

  async append(ids: string[], value: (id: string) => string = (id) => `{"id":"${id}"}`): Promise<void> {
    const verdicts = await this.log.append(ids.map((id) => eventRecord(id, value(id))));
    if (verdicts.some((verdict) => verdict !== 'stored')) throw new Error(`not stored: ${verdicts}`);
  }

  /** All records of a topic, as soon as there are `count`. */
  async read(topic: string, count: number): Promise<StoredRecord[]> {
    return awaitRecords(this.log, topic, count);
  }

  #openLog(): EventLog & LogReader {
    return sqliteEventLog({
      path: this.#path,
      retention: { age: 60_000_000, size: 2 ** 40 },
      onError(error) {
        throw error;
      },
    });
  }
}

export function eventRecord(id: string, value: string): LogRecord {
  return {
    topic: 'orders',
    key: id,
    value: Buffer.from(value),
    headers: {
      ce_specversion: '1.0',
      ce_id: id,
      ce_source: '/shop',
      ce_type: 'shop.order',
      'content-type': 'application/json',
    },
  };
}

/** The log with some of its steps changed. */
export function changedLog(
  log: EventLog,
  changes: {
    append?: (records: LogRecord[]) => ReturnType<EventLog['append']>;
    consume?: EventLog['consume'];
    consumption?: (real: Consumption) => Consumption;
  },
): EventLog {
  return {
    append: changes.append ?? ((records) => log.append(records)),
    async consume(options, sink) {
      const real = await (changes.consume ?? log.consume.bind(log))(options, sink);
      return changes.consumption?.(real) ?? real;
    },
    problem: () => log.problem(),
    close: () => log.close(),
  };
}

export function subscription(
  target: TestFunction,
  changes: Partial<SubscriptionConfig> & { mode?: 'binary' | 'structured' | 'batch' } = {},
): SubscriptionConfig {
  const { mode = 'binary', ...rest } = changes;
  return {
    name: 'mail',
    group: `postern.${rest.name ?? 'mail'}`,
    topics: ['orders'],
    from: 'earliest',
    filter: null,
    filters: [],
    function: { http: httpAt(target.server.url, { mode }) },
    timeout: 10_000,
    concurrency: 4,
    rate: null,
    order: 'none',
    batch: { events: 10, wait: 20, size: 1_000_000 },
    retry: { attempts: 3, min: 1, max: 5 },
    retryAge: null,
    dedupe: null,
    deadLetter: `${rest.name ?? 'mail'}.dead`,
    redrive: null,
    reply: null,
    warm: null,
    ...rest,
  };
}

export const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `e${from + i}`);

/** A function's settings for an address; the rest as by default. */
export function httpAt(url: string, changes: Partial<HttpFunction> = {}): HttpFunction {
  return { url, mode: 'binary', headers: {}, auth: null, sign: [], tls: null, ...changes };
}
