/** What the sample functions of an order answer. */
export interface SampleAnswer {
  status: number;
  /** JSON; null: nothing. */
  body: object | null;
}

/** Above it the sample's card is refused. */
const MOST = 1_000;

/**
 * The functions of `postern dev` for the sample's workflow: /orders/reserve, charge and ship, and release and refund
 * that undo. Real ones would remember the idempotency key. Null: the path is another function's.
 */
export function sampleOrder(path: string, body: string): SampleAnswer | null {
  const match = /^\/orders\/(reserve|release|charge|refund|ship)$/.exec(path);
  if (match === null) return null;
  const order = orderOf(body);
  if (order === null) return { status: 400, body: { error: 'this is no step of an order' } };
  const { id, total } = order;
  switch (match[1]) {
    case 'reserve':
      return { status: 200, body: { reservation: `r-${id}` } };
    case 'charge':
      if (total > MOST) return { status: 402, body: { error: 'card refused' } };
      return { status: 200, body: { receipt: `c-${id}`, total } };
    case 'ship':
      return { status: 200, body: { parcel: `p-${id}` } };
    default:
      return { status: 204, body: null };
  }
}

function orderOf(body: string): { id: string; total: number } | null {
  try {
    const { input } = JSON.parse(body) as { input: { id: string; data: { total?: unknown } } };
    return { id: input.id, total: Number(input.data.total ?? 0) };
  } catch {
    return null;
  }
}
