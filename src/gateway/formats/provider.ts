import type { VerifyConfig } from '../../config/source/types.ts';
import { resolvePointer } from '../../json/pointer.ts';

/** Facts that a provider gives about an event in its own fields or headers; null where it gives none. */
export interface ProviderFacts {
  id: string | null;
  /** `<scheme>.<event>`. */
  type: string | null;
  /** The value that was sent. */
  time: unknown;
}

type Header = (name: string) => string | undefined;
type Facts = (json: unknown, header: Header) => Partial<Record<'id' | 'event' | 'time', unknown>>;

const at = (json: unknown, ...tokens: string[]) => resolvePointer(json, tokens);
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

const standard: Facts = (json) => ({ event: at(json, 'type'), time: at(json, 'timestamp') });

const PROVIDERS: Partial<Record<VerifyConfig['scheme'], Facts>> = {
  standard,
  svix: standard,
  github(json, header) {
    const event = header('x-github-event');
    const action = at(json, 'action');
    return { event: isText(event) && isText(action) ? `${event}.${action}` : event };
  },
  stripe: (json) => ({ id: at(json, 'id'), event: at(json, 'type'), time: at(json, 'created') }),
  shopify: (_json, header) => ({
    event: header('x-shopify-topic')?.replaceAll('/', '.'),
    time: header('x-shopify-triggered-at'),
  }),
  slack: (json) => ({
    id: at(json, 'event_id'),
    event: at(json, 'event', 'type') ?? at(json, 'type') ?? (isText(at(json, 'command')) && 'slash_command'),
    time: at(json, 'event_time'),
  }),
};

/** The facts that the provider of a signature scheme gives; `header` gets a header by its lower-case name. */
export function factsOf(scheme: VerifyConfig['scheme'] | null, json: unknown, header: Header): ProviderFacts {
  const { id, event, time } = (scheme !== null && PROVIDERS[scheme]?.(json, header)) || {};
  return { id: isText(id) ? id : null, type: isText(event) ? `${scheme}.${event}` : null, time };
}
