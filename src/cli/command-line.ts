import type { Address, Config } from '../config/config.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { parseAddress } from '../config/values.ts';
import { isDate, isDateTime } from '../core/date-time.ts';
import { StartError } from '../core/lifecycle.ts';

/** A command line that cannot be followed; its message is all that a person needs. */
export class UsageError extends StartError {}

/** The subscription of `--subscription`, which may be left out where there is one only. */
export function subscriptionOf({ subscriptions }: Config, name: string | undefined): SubscriptionConfig {
  const names = [...subscriptions.keys()];
  if (names.length === 0) throw new UsageError('the config has no subscription');
  if (name === undefined && names.length > 1)
    throw new UsageError(`--subscription must be one of ${names.join(', ')}`);
  const found = subscriptions.get(name ?? names[0]!);
  if (found === undefined)
    throw new UsageError(`there is no subscription ${name}; the config has ${names.join(', ')}`);
  return found;
}

/** A whole number from 1, or null when the option is not given. */
export function countOf(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new UsageError(`--${option} must be a whole number from 1, not ${text}`);
  return Number(text);
}

/** The host and port of an option. */
export function addressOf(option: string, text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new UsageError(`--${option} must be host:port, such as 127.0.0.1:8080`);
  return address;
}

/** Milliseconds since 1970 of a date (its start in UTC) or a date and time, or null when the option is not given. */
function timeOf(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const time = isDate(text) || isDateTime(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new UsageError(
      `--${option} must be a date or a time with its zone, such as 2026-03-01 or 2026-03-01T08:30:00Z, not ${text}`,
    );
  }
  return time;
}

/** Both ends of a time range; `to` must come after `from`. */
export function timesOf(
  from: string | undefined,
  to: string | undefined,
): { from: number | null; to: number | null } {
  const times = { from: timeOf('from', from), to: timeOf('to', to) };
  if (times.from !== null && times.to !== null && times.to <= times.from)
    throw new UsageError('--to must be later than --from');
  return times;
}
