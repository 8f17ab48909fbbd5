import type { Holding } from '../consume/commits.ts';
import type { Call, Delivery, Lane } from './call.ts';

const SLOTS = 4096;
const NO_KEY = new Uint8Array(0);

export interface LanesOptions {
  /** Events of one key that may wait before the partition is paused. */
  limit: number;
  /** The first event of a lane in which nothing is in work. */
  ready(delivery: Delivery): void;
  /** A call that waited in a lane has its turn. */
  resume(call: Call): void;
}

/**
 * Keeps the events of one key of a partition in order. While an event of a lane is in work (in flight, waiting for its
 * next attempt, or a dead letter that is not stored yet), the later events of the lane wait. An event without a key is
 * in no lane.
 *
 * It has a hash table of its own. A Map that is filled and emptied with each event leaves old tables behind, which keep
 * events alive, and it needs each key as a string. Lanes are used again.
 */
export class Lanes {
  readonly #options: LanesOptions;
  readonly #slots: (Lane | null)[] = new Array(SLOTS).fill(null);
  /** Random: clients choose the keys, and must not be able to put all of them into one slot. */
  readonly #seed = Math.trunc(Math.random() * 2 ** 32);
  #free: Lane | null = null;
  #crowded: Lane[] = [];

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  /** Events that wait in lanes whose partition is paused because of them. */
  get parked(): number {
    let parked = 0;
    for (const { waiting } of this.#crowded) parked += waiting;
    return parked;
  }

  enter(delivery: Delivery): void {
    const { key } = delivery.record;
    if (key === null) {
      this.#options.ready(delivery);
      return;
    }
    const lane = this.#find(delivery.holding, key);
    delivery.lane = lane;
    if (lane.last === null) lane.first = delivery;
    else lane.last.behind = delivery;
    lane.last = delivery;
    lane.waiting++;
    if (lane.waiting > this.#options.limit && !lane.crowded) {
      lane.crowded = true;
      delivery.holding.crowded++;
      this.#crowded.push(lane);
    }
    if (lane.working === 0 && lane.waiting === 1) this.#options.ready(delivery);
  }

  /** The event is concluded. */
  leave({ lane }: Delivery): void {
    if (lane === null || --lane.working > 0) return;
    const call = lane.calls;
    if (call !== null) {
      lane.calls = call.next;
      call.next = null;
      lane.working = eventsIn(call, lane);
      this.#options.resume(call);
    } else if (lane.first === null) this.#drop(lane);
    else {
      if (lane.crowded && lane.waiting <= this.#options.limit / 2) this.#relieve(lane);
      this.#options.ready(lane.first);
    }
  }

  /** Forgets all lanes. Events in work may still leave their lanes. */
  clear(): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      for (let lane = this.#slots[slot] ?? null; lane !== null; lane = lane.chain) {
        lane.first = null;
        lane.last = null;
        lane.calls = null;
      }
      this.#slots[slot] = null;
    }
    this.#crowded = [];
  }

  /** The events that wait in lanes. */
  *deliveries(): Generator<Delivery> {
    for (const slot of this.#slots) {
      for (let lane = slot; lane !== null; lane = lane.chain) {
        for (let call = lane.calls; call !== null; call = call.next) yield* call.deliveries;
        for (let one = lane.first; one !== null; one = one.behind) yield one;
      }
    }
  }

  #find(holding: Holding, key: Uint8Array): Lane {
    const hash = this.#hash(key);
    const slot = hash & (SLOTS - 1);
    for (let lane = this.#slots[slot] ?? null; lane !== null; lane = lane.chain) {
      if (lane.hash === hash && lane.holding === holding && Buffer.compare(lane.key, key) === 0) return lane;
    }
    const lane = this.#free ?? makeLane();
    this.#free = lane.chain;
    lane.holding = holding;
    lane.key = key;
    lane.hash = hash;
    lane.chain = this.#slots[slot] ?? null;
    this.#slots[slot] = lane;
    return lane;
  }

  #drop(dropped: Lane): void {
    const slot = dropped.hash & (SLOTS - 1);
    let before: Lane | null = null;
    for (let lane = this.#slots[slot] ?? null; lane !== dropped; lane = lane.chain) {
      // Forgotten already.
      if (lane === null) return;
      before = lane;
    }
    if (before === null) this.#slots[slot] = dropped.chain;
    else before.chain = dropped.chain;
    if (dropped.crowded) this.#relieve(dropped);
    dropped.holding = null;
    dropped.key = NO_KEY;
    dropped.chain = this.#free;
    this.#free = dropped;
  }

  #relieve(lane: Lane): void {
    lane.crowded = false;
    lane.holding!.crowded--;
    this.#crowded = this.#crowded.filter((one) => one !== lane);
  }

  /** FNV-1a. */
  #hash(key: Uint8Array): number {
    let hash = this.#seed;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193);
    return (hash ^ (hash >>> 15)) >>> 0;
  }
}

function makeLane(): Lane {
  return {
    holding: null,
    key: NO_KEY,
    hash: 0,
    chain: null,
    working: 0,
    calls: null,
    first: null,
    last: null,
    waiting: 0,
    crowded: false,
  };
}

/** Takes the next waiting event of a lane into work; there must be one. */
export function advance(lane: Lane): Delivery {
  const delivery = lane.first!;
  lane.first = delivery.behind;
  if (lane.first === null) lane.last = null;
  delivery.behind = null;
  lane.waiting--;
  lane.working++;
  return delivery;
}

/** Puts a call back into the lane of its first event: it waits until nothing else is in work there. */
export function returnToLane(call: Call): void {
  const lane = call.deliveries[0]!.lane!;
  lane.working -= eventsIn(call, lane);
  call.next = lane.calls;
  lane.calls = call;
}

function eventsIn({ deliveries }: Call, lane: Lane): number {
  return deliveries.reduce((events, one) => (one.lane === lane ? events + 1 : events), 0);
}
