import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface OrderedOptions {
  /** Milliseconds of a call. */
  ms: number;
  /** Share of the calls that fail. */
  failing: number;
}

/** A function that keeps the numbers that succeeded, in order, for each key. Ids of events are `{key}/{number}`. */
export class OrderedFunction {
  readonly #options: OrderedOptions;
  readonly successes = new Map<string, number[]>();
  delivered = 0;
  failed = 0;
  /** Calls that began while another call of the same key was in work. */
  met = 0;
  /** Milliseconds of all calls together. */
  busy = 0;
  readonly #open = new Set<string>();
  readonly #seen = new Set<string>();
  readonly #server: Server;

  constructor(options: OrderedOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      request.resume();
      const id = String(request.headers['ce-id']);
      const [key, number] = id.split('/') as [string, string];
      if (this.#open.has(key)) this.met++;
      this.#open.add(key);
      const begun = performance.now();
      setTimeout(() => {
        this.#open.delete(key);
        this.busy += performance.now() - begun;
        const fails = Math.random() < this.#options.failing;
        if (fails) this.failed++;
        else this.#succeeded(id, key, Number(number));
        response.writeHead(fails ? 500 : 204).end();
      }, options.ms);
    });
  }

  /** Different events that were delivered. */
  get different(): number {
    return this.#seen.size;
  }

  /** Resolves with its URL. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #succeeded(id: string, key: string, number: number): void {
    this.delivered++;
    this.#seen.add(id);
    const before = this.successes.get(key);
    if (before === undefined) this.successes.set(key, [number]);
    else before.push(number);
  }
}

/**
 * Says how the successes of a key are out of order, whose events are 0, 1, 2 and so on; null when they are in order.
 * The first success of each event must come after the first one of the event before. A dispatcher that takes a
 * partition over begins at the committed offset, so that some events may come again, in order as well: at most
 * `takeovers` times.
 */
export function disorder(successes: readonly number[], takeovers: number): string | null {
  let next = 0;
  let last = -1;
  let again = 0;
  for (const number of successes) {
    if (number > last + 1) return `${number} came after ${last}`;
    if (number <= last) again++;
    if (number > next) return `${number} came before ${next}`;
    if (number === next) next++;
    last = number;
  }
  return again > takeovers ? `${again} runs came again` : null;
}
