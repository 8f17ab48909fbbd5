import type { Address } from '../../config/values/address.ts';

/** The nodes that have the slots `from` to `to`: the primary first, then its replicas. */
export interface SlotRange {
  from: number;
  to: number;
  nodes: Address[];
}

/**
 * Reads a reply to CLUSTER SLOTS. A node may leave its host out, when it does not know it or with
 * `cluster-preferred-endpoint-type unknown-endpoint`: then it is `asked`, the host of the node that replied.
 */
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

/** Reads the errors MOVED (the slot has moved to that node) and ASK (it is moving). Null for other errors. */
export function readRedirect(
  message: string,
  asked: string,
): { kind: 'MOVED' | 'ASK'; address: Address } | null {
  const match = /^(MOVED|ASK) \d+ (.*):(\d+)$/.exec(message);
  if (match === null) return null;
  const [, kind, host, port] = match;
  return { kind: kind as 'MOVED' | 'ASK', address: { host: host || asked, port: Number(port) } };
}

/** `host:port`. */
export function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
