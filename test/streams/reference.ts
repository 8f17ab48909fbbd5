/** An event as the reference sees it. */
export interface Seen {
  key: string;
  time: number;
  total: number;
}

export interface Expected {
  key: string;
  start: number;
  end: number;
  n: number;
  spent: number;
}

type Kind = { tumbling: number } | { sliding: number; every: number } | { session: number };

/** What windows there are over events, told from all of them at once: no streams, no watermarks, no state. */
export function expectedWindows(events: readonly Seen[], kind: Kind): Expected[] {
  if ('session' in kind)
    return [...Map.groupBy(events, ({ key }) => key).values()].flatMap((own) => sessions(own, kind.session));
  const [size, every] = 'tumbling' in kind ? [kind.tumbling, kind.tumbling] : [kind.sliding, kind.every];
  const windows = new Map<string, Expected>();
  for (const { key, time, total } of events) {
    for (let start = Math.floor(time / every) * every; start > time - size; start -= every) {
      const window = windows.get(`${key} ${start}`) ?? { key, start, end: start + size, n: 0, spent: 0 };
      windows.set(`${key} ${start}`, { ...window, n: window.n + 1, spent: window.spent + total });
    }
  }
  return [...windows.values()];
}

function sessions(events: Seen[], gap: number): Expected[] {
  const found: Expected[] = [];
  for (const { key, time, total } of [...events].sort((a, b) => a.time - b.time)) {
    const last = found.at(-1);
    if (last === undefined || time >= last.end)
      found.push({ key, start: time, end: time + gap, n: 1, spent: total });
    else Object.assign(last, { end: time + gap, n: last.n + 1, spent: last.spent + total });
  }
  return found;
}

/** A window as one line, to compare. */
export function lineOf({ key, start, end, n, spent }: Record<keyof Expected, unknown>): string {
  const time = (value: unknown) => new Date(value as string | number).toISOString();
  return `${key} ${time(start)} ${time(end)} ${n} ${spent}`;
}
