import { Queue } from '../consume/queue.ts';
import { type Answer, reasonOf } from '../function/answer.ts';
import { retryWait } from '../function/retry.ts';
import type { Appender, AppendVerdict, LogRecord } from '../ports/event-log.ts';
import type { Delivery } from './call.ts';
import { LINEAGE } from './dead-letter-record.ts';

/** An event that could not be delivered. */
export interface Letter {
  delivery: Delivery;
  attempts: number;
  /** Milliseconds since 1970. */
  firstTime: number;
  /** Milliseconds since 1970. */
  lastTime: number;
  answer: Answer;
  /** What is left out because the record was too large: 1 the value, 2 all but our own headers. */
  cut: 0 | 1 | 2;
}

export interface DeadLetterOptions {
  log: Appender;
  subscription: string;
  topic: string;
  random: () => number;
  /** The letter is stored. */
  stored(letter: Letter): void;
  /** So many could not be stored and are tried again later. */
  failed(letters: number): void;
  /** `writing` has become false. */
  idle(): void;
}

const AT_ONCE = 100;
const AGAIN = { attempts: Number.POSITIVE_INFINITY, min: 500, max: 30_000 };
/** Bytes of UTF-8. */
const ERROR_BYTES = 1024;

/** Stores dead letters, each as long as it takes: an event that is in no topic yet must not be forgotten. */
export class DeadLetters {
  readonly #options: DeadLetterOptions;
  readonly #queue = new Queue<Letter>();
  #writing = false;
  #stopped = false;
  #failures = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: DeadLetterOptions) {
    this.#options = options;
  }

  /** True while an append is on its way, false also while the next one waits for its time. */
  get writing(): boolean {
    return this.#writing;
  }

  get letters(): Iterable<Letter> {
    return this.#queue;
  }

  add(letter: Letter): void {
    this.#queue.push(letter);
    if (!this.#writing && this.#timer === null) void this.#write();
  }

  /** Forgets what is not stored yet. */
  stop(): void {
    this.#stopped = true;
    this.#queue.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #write(): Promise<void> {
    this.#writing = true;
    this.#timer = null;
    while (this.#queue.length > 0 && !this.#stopped) {
      // They stay in the queue meanwhile, so that they are counted as held.
      const letters = Array.from({ length: Math.min(AT_ONCE, this.#queue.length) }, (_, i) =>
        this.#queue.at(i),
      );
      const verdicts = await this.#append(letters);
      if (this.#stopped) break;
      for (const _ of letters) this.#queue.shift();
      if (this.#conclude(letters, verdicts)) {
        const wait = retryWait(++this.#failures, AGAIN, null, this.#options.random);
        this.#timer = setTimeout(() => void this.#write(), wait);
        break;
      }
      this.#failures = 0;
    }
    this.#writing = false;
    this.#options.idle();
  }

  async #append(letters: Letter[]): Promise<AppendVerdict[]> {
    const { log, topic, subscription } = this.#options;
    try {
      return await log.append(letters.map((letter) => deadLetter(letter, topic, subscription)));
    } catch {
      return letters.map(() => 'failed');
    }
  }

  /** True when some have to wait. */
  #conclude(letters: Letter[], verdicts: AppendVerdict[]): boolean {
    let failed = 0;
    letters.forEach((letter, i) => {
      if (verdicts[i] === 'stored') return this.#options.stored(letter);
      if (verdicts[i] === 'too_large' && letter.cut < 2) letter.cut++;
      else failed++;
      this.#queue.push(letter);
    });
    if (failed > 0) this.#options.failed(failed);
    return failed > 0;
  }
}

/** The record as it was, with what became of it in `postern_` headers. Times are RFC 3339. */
function deadLetter(letter: Letter, topic: string, subscription: string): LogRecord {
  const { answer, attempts, cut } = letter;
  const { record } = letter.delivery;
  const before = record.headers[LINEAGE];
  const lineage = before === undefined ? {} : { [LINEAGE]: before };
  return {
    topic,
    key: cut < 2 ? record.key : null,
    value: cut === 0 ? record.value : null,
    headers: {
      ...(cut < 2 ? record.headers : lineage),
      postern_reason: reasonOf(answer),
      postern_status: answer.status === null ? '' : String(answer.status),
      postern_attempts: String(attempts),
      postern_subscription: subscription,
      postern_topic: record.topic,
      postern_partition: String(record.partition),
      postern_offset: String(record.offset),
      // A number: not every one that a record may have is a date.
      postern_timestamp: String(record.timestamp),
      postern_first_time: new Date(letter.firstTime).toISOString(),
      postern_last_time: new Date(letter.lastTime).toISOString(),
      postern_error: excerpt(answer.detail),
      ...(cut > 0 ? { postern_truncated: cut === 1 ? 'value' : 'value, key and headers' } : {}),
    },
  };
}

/** Part of it may be a reply: no line breaks into somebody's log. */
function excerpt(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(ERROR_BYTES));
  return text
    .slice(0, read)
    .toWellFormed()
    .replace(/[\u0000-\u001f\u007f]+/g, ' ');
}
