import type { SubscriptionConfig } from '../config/subscription/types.ts';
import type { Holding } from '../consume/commits.ts';
import type { Filter } from '../filter/filter.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import type { Report } from '../ports/report.ts';
import { type Delivery, deliveryOf } from './call.ts';
import { reportDelivery } from './facts.ts';
import { redrivenEvent } from './stored-letter.ts';

export interface ArriveOptions {
  subscription: SubscriptionConfig;
  filter: Filter | null;
  report: Report;
}

/**
 * Sorts records that were just read: `pass` gets those that the subscription wants, in order, and `skip` the offsets of
 * the others.
 */
export function arrive(
  options: ArriveOptions,
  holding: Holding,
  records: readonly StoredRecord[],
  pass: (delivery: Delivery) => void,
  skip: (offset: number) => void,
): void {
  const { filter, subscription } = options;
  const isRedriven = holding.topic === subscription.redrive;
  const errors = filter?.errors ?? 0;
  const arrived = performance.now();
  let filtered = 0;
  for (const record of records) {
    const event = isRedriven ? redrivenEvent(record, subscription.group) : record;
    // A redriven event has passed the filter before.
    if (event === null || (!isRedriven && filter !== null && !filter.match(event))) {
      skip(record.offset);
      filtered++;
    } else pass(deliveryOf(event, holding, record.offset, arrived));
  }
  const failed = (filter?.errors ?? 0) - errors;
  reportDelivery(options, 'filtered', filtered - failed, null, null);
  reportDelivery(options, 'filtered', failed, null, 'filter_error');
}
