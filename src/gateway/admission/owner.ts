import type { DecodedEvent } from '../../core/event.ts';

/**
 * Keeps the ids of one sender (key, token subject or device) apart from those of others. Readers of the log tell events
 * apart by `source` and `id`, so the sender is added to the gateway's own source. No client can set that source.
 */
export function markOwner(event: DecodedEvent, uri: string, who: string): void {
  const { headers } = event;
  const source = headers.ce_source;
  if (source === uri || source?.startsWith(`${uri}/`))
    headers.ce_source = `${uri}/${encodeURIComponent(who.toWellFormed())}`;
  // Ids have no line breaks, so two identities never meet.
  if (event.identity !== '') event.identity += `\nk${who.length}:${who}`;
}
