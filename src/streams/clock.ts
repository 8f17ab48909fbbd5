/** How far one partition of the stream's topics has come, as a state knows it. */
export interface Origin {
  /** Offset of its newest record that was counted; -1: none. */
  seen: number;
  /** Greatest time of its events, in ms since 1970; -Infinity: it had none. */
  time: number;
  /** It has no further records now and had none for a while, so it does not hold the watermark back. */
  idle: boolean;
}

/** An event's time may be so far after its arrival, or `lateness` if that is more. */
const MAX_AHEAD_MS = 60_000;

/**
 * The event time of a state. Its watermark is the least time that one of its origins has reached, less the lateness, and
 * never goes back. It depends only on the records read, so that every reader of them closes the same windows.
 */
export class Clock {
  readonly #lateness: number;
  readonly #ahead: number;
  readonly origins: Map<string, Origin>;
  watermark: number;
  /** When the newest record was written, in ms since 1970. */
  arrived: number;

  constructor(
    lateness: number,
    origins = new Map<string, Origin>(),
    watermark = Number.NEGATIVE_INFINITY,
    arrived = 0,
  ) {
    this.#lateness = lateness;
    this.#ahead = Math.max(MAX_AHEAD_MS, lateness);
    this.origins = origins;
    this.watermark = watermark;
    this.arrived = arrived;
  }

  /** The origin of this name, made if needed. A new one holds the watermark back until its first event. */
  expect(name: string): Origin {
    let origin = this.origins.get(name);
    if (origin === undefined) {
      origin = { seen: -1, time: Number.NEGATIVE_INFINITY, idle: false };
      this.origins.set(name, origin);
    }
    return origin;
  }

  /** Whether a time is so far after its arrival that the sender's clock must be wrong. */
  isFuture(time: number, arrival: number): boolean {
    return time > arrival + this.#ahead;
  }

  /** Notes the time of an origin's event. */
  advance(origin: Origin, time: number): void {
    // An origin that is ahead of another cannot move the least time.
    const mayMove = origin.idle || origin.time - this.#lateness <= this.watermark;
    origin.idle = false;
    if (time <= origin.time) return;
    origin.time = time;
    if (mayMove) this.update();
  }

  update(): void {
    let least = Number.POSITIVE_INFINITY;
    for (const { time, idle } of this.origins.values()) if (!idle && time < least) least = time;
    if (least === Number.POSITIVE_INFINITY) return;
    this.watermark = Math.max(this.watermark, least - this.#lateness);
  }

  /** The watermark if no more events come: time goes on from the newest event as the clock does. */
  byClock(now: number): number {
    let newest = Number.NEGATIVE_INFINITY;
    for (const { time } of this.origins.values()) newest = Math.max(newest, time);
    return newest - this.#lateness + Math.max(0, now - this.arrived);
  }
}

/** The entry that the store keeps of a partition beside its windows: how far it has read, so that no event counts twice. */
export interface Mark {
  /** Identifies the stream's definition: windows of another definition cannot be used. */
  definition: string;
  /** A new random text whenever the state begins empty. */
  epoch: string;
  /** The next offset to be read. */
  next: number;
  /** The watermark up to which windows are closed. */
  closed: number;
  clock: Clock;
}

export function writeMark({ definition, epoch, next, closed, clock }: Mark): string {
  const head = [definition, epoch, next, clock.watermark, closed, clock.arrived].join(' ');
  let text = head;
  for (const [name, { seen, time, idle }] of clock.origins)
    text += ` ${name},${seen},${time}${idle ? ',i' : ''}`;
  return text;
}

export function readMark(text: string, lateness: number): Mark {
  const [definition, epoch, next, watermark, closed, arrived, ...origins] = text.split(' ') as [
    string,
    string,
    ...string[],
  ];
  const known = origins.map((one): [string, Origin] => {
    const [name, seen, time, idle] = one.split(',') as [string, string, string, string?];
    return [name, { seen: Number(seen), time: Number(time), idle: idle !== undefined }];
  });
  const clock = new Clock(lateness, new Map(known), Number(watermark), Number(arrived));
  return { definition, epoch, next: Number(next), closed: Number(closed), clock };
}
