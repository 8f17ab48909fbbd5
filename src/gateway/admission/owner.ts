import type { DecodedEvent } from '../../core/event.ts';

/**
 * Keeps the ids of one key, token subject or device apart from those of others. What reads the records tells events
 * apart by `source` and `id`: so the gateway's own source names the sender too, and nobody can name another one.
 */
export function markOwner(event: DecodedEvent, uri: string, who: string): void {
  const { headers } = event;
  const source = headers.ce_source;
  if (source === uri || source?.startsWith(`${uri}/`))
    headers.ce_source = `${uri}/${encodeURIComponent(who.toWellFormed())}`;
  // No id has a line break in it.
  if (event.identity !== '') event.identity += `\nk${who.length}:${who}`;
}
