import type { Config } from '../config/config.ts';
import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { type Address, parseAddress } from '../config/values/address.ts';
import { isDate, isDateTime } from '../core/date-time.ts';
import { StartError } from '../core/lifecycle.ts';

const TEXTS = [
  ...(['config', 'listen', 'role', 'source', 'type', 'subscription', 'from', 'to'] as const),
  ...(['filter', 'limit', 'rate', 'admin', 'token'] as const),
];
const FLAGS = ['production', 'dry-run', 'json', 'help', 'version'] as const;

type Text = (typeof TEXTS)[number];
type Flag = (typeof FLAGS)[number];
export type OptionName = Text | Flag;

/** The options of all commands, for `parseArgs`. */
export const OPTIONS = Object.fromEntries([
  ...TEXTS.map((name) => [name, { type: 'string' }]),
  ...FLAGS.map((name) => [name, { type: 'boolean' }]),
]) as Record<Text, { type: 'string' }> & Record<Flag, { type: 'boolean' }>;

/** A command line that fits its command. */
export interface CommandLine {
  /** Arguments after the command's name. */
  args: string[];
  values: { [Name in Text]?: string | undefined } & { [Name in Flag]?: boolean | undefined };
  /** The version of Postern. */
  version: string;
  print(text: string): void;
}

/** A wrong command line. A person needs only its message. */
export class UsageError extends StartError {}

/** The subscription of `--subscription`, which may be left out if there is only one. */
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

/** Both ends of a time range, as `timeOf`. `to` must be later than `from`. */
export function timesOf(
  from: string | undefined,
  to: string | undefined,
): { from: number | null; to: number | null } {
  const times = { from: timeOf('from', from), to: timeOf('to', to) };
  if (times.from !== null && times.to !== null && times.to <= times.from)
    throw new UsageError('--to must be later than --from');
  return times;
}
