import type { Address } from '../../config/values/address.ts';

/** Slots `from` to `to`, and the nodes that have them: the primary first, then its replicas. */
export interface SlotRange {
  from: number;
  to: number;
  nodes: Address[];
}

/** The reply to CLUSTER SLOTS. `asked`: the host that gave it; a node that does not know its own address leaves it out. */
export function readSlots(reply: unknown, asked: string): SlotRange[] {
  const ranges: SlotRange[] = [];
  for (const entry of reply as [number, number, ...[string | null, number][]][]) {
    const [from, to, ...nodes] = entry;
    const known = nodes.filter(([host]) => host !== '?');
    if (known.length === 0 || known[0] !== nodes[0]) continue;
    ranges.push({ from, to, nodes: known.map(([host, port]) => ({ host: host || asked, port })) });
  }
  return ranges;
}

/** What MOVED and ASK say: where a slot has gone, or where it is going. Null for other errors. */
export function readRedirect(
  message: string,
  asked: string,
): { kind: 'MOVED' | 'ASK'; address: Address } | null {
  const match = /^(MOVED|ASK) \d+ (.*):(\d+)$/.exec(message);
  if (match === null) return null;
  const [, kind, host, port] = match;
  return { kind: kind as 'MOVED' | 'ASK', address: { host: host || asked, port: Number(port) } };
}

export function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
