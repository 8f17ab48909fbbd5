import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** The effect of a function under one idempotency key. */
interface Entry {
  /** The answer, also to the next call. */
  status: number;
  body: object;
  /** Effects; more than one would be a broken promise. */
  effects: number;
  calls: number;
}

interface Call {
  input: { id: string; data: { price: number } };
  results: Record<string, { id?: string }>;
}

/** From 0 to below 1, the same for each seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Functions of an order: `/reserve`, `/charge`, `/ship`, and `/release`, `/refund`, `/recall` that undo them. They keep
 * books by idempotency key, as functions that move money should: a key has its effect once, a step that was undone is
 * not done later, and undoing a step that was not done succeeds.
 */
export class OrderFunctions {
  readonly entries = new Map<string, Entry>();
  /** Orders whose steps are in effect. */
  readonly reserved = new Set<string>();
  readonly charged = new Map<string, number>();
  readonly shipped = new Set<string>();
  /** Calls that were not answered as they should have been. */
  flaked = 0;
  url = '';
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #random = random(7);
  readonly #flaky: number;
  readonly #refused: (id: string) => boolean;

  /** `flaky`: the part of calls that fail, before or after their effect. `refused`: orders whose charge is. */
  constructor(flaky: number, refused: (id: string) => boolean) {
    this.#flaky = flaky;
    this.#refused = refused;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  get money(): number {
    return [...this.charged.values()].reduce((sum, price) => sum + price, 0);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      // The caller was killed before its request was whole.
      return;
    }
    const step = request.url!.slice(1);
    const key = String(request.headers['idempotency-key']);
    const call = JSON.parse(Buffer.concat(chunks).toString()) as Call;
    const luck = this.#random();
    // A call takes some time, so that one is always on its way when a dispatcher is killed.
    await sleep(2 + 10 * this.#random());
    if (luck < this.#flaky / 2) {
      this.flaked++;
      response.writeHead(503).end();
      return;
    }
    const entry = this.#book(step, key, call);
    if (luck >= this.#flaky) {
      response.writeHead(entry.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(entry.body));
      return;
    }
    this.flaked++;
    if (luck < this.#flaky * 0.75) response.writeHead(500).end();
    else response.destroy();
  }

  #book(step: string, key: string, call: Call): Entry {
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = { status: 200, body: { id: `${step}-${this.entries.size}` }, effects: 0, calls: 0 };
      this.entries.set(key, entry);
      this.#effect(step, entry, call);
    }
    entry.calls++;
    return entry;
  }

  #effect(step: string, entry: Entry, { input: { id, data } }: Call): void {
    // The undo came first: this is a late copy.
    if (this.entries.has(`"${id}/${step}/undo"`)) return;
    if (step === 'charge' && this.#refused(id)) {
      entry.status = 402;
      entry.body = { error: 'card refused' };
      return;
    }
    entry.effects++;
    if (step === 'reserve') this.reserved.add(id);
    else if (step === 'release') this.reserved.delete(id);
    else if (step === 'charge') this.charged.set(id, data.price);
    else if (step === 'refund') this.charged.delete(id);
    else if (step === 'ship') this.shipped.add(id);
    else if (step === 'recall') this.shipped.delete(id);
    else throw new Error(`no function ${step}`);
  }
}
