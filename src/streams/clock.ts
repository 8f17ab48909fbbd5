/** How far one partition of the stream's topics is, as the part knows. */
export interface Origin {
  /** Offset of its newest record that was counted; -1 when none was. */
  seen: number;
  /** Greatest time of its events, in ms since 1970; -Infinity when there was none. */
  time: number;
  /** It has ended and nothing came for a while: it holds nothing back. */
  idle: boolean;
}

/** Milliseconds that an event may be ahead of its arrival, if `lateness` is not more. */
const AHEAD = 60_000;

/**
 * The time of a part: its watermark is the least that any of its origins has come to, less the lateness, and never goes
 * back. It is a matter of the records read, so that every reader of them closes the same windows.
 */
export class Clock {
  readonly #lateness: number;
  readonly #ahead: number;
  readonly origins: Map<string, Origin>;
  watermark: number;
  /** When the newest record came, in ms since 1970. */
  arrived: number;

  constructor(
    lateness: number,
    origins = new Map<string, Origin>(),
    watermark = Number.NEGATIVE_INFINITY,
    arrived = 0,
  ) {
    this.#lateness = lateness;
    this.#ahead = Math.max(AHEAD, lateness);
    this.origins = origins;
    this.watermark = watermark;
    this.arrived = arrived;
  }

  /** Makes room for an origin; until something is heard of it, it holds the watermark back. */
  expect(name: string): Origin {
    let origin = this.origins.get(name);
    if (origin === undefined) {
      origin = { seen: -1, time: Number.NEGATIVE_INFINITY, idle: false };
      this.origins.set(name, origin);
    }
    return origin;
  }

  /** Whether a time is so far after the arrival that the sender's clock must be wrong. */
  isFuture(time: number, arrival: number): boolean {
    return time > arrival + this.#ahead;
  }

  /** An event of an origin. */
  advance(origin: Origin, time: number): void {
    // Whoever is ahead of another does not move the least of all.
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

  /** What the watermark would be when nothing more comes: time goes on from the newest event as the clock does. */
  byClock(now: number): number {
    let newest = Number.NEGATIVE_INFINITY;
    for (const { time } of this.origins.values()) newest = Math.max(newest, time);
    return newest - this.#lateness + Math.max(0, now - this.arrived);
  }
}

/** What is kept of a part besides its windows: how far it has read, so that nothing counts twice. */
export interface Mark {
  /** Tells the stream's definition; windows of another one are of no use. */
  definition: string;
  /** Begins anew whenever state does. */
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
