import type { Config } from './config.ts';
import type { SubscriptionConfig } from './config-subscription-types.ts';
import { isDate, isDateTime } from './date-time.ts';
import { StartError } from './lifecycle.ts';

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

/** Text of somebody else's for a terminal: without what would steer it, and without line breaks unless kept. */
export function printable(text: string, keepLines = false): string {
  const steering = keepLines
    ? /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g
    : /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
  return text.replace(steering, '\ufffd');
}
