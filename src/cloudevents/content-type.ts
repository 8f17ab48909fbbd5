const JSON_TYPE = /^[^;]*[/+]json\s*(?:;|$)/i;
const EVENT_TYPE = /^[\s\u0000-\u001f\u007f"]*application\s*\/\s*cloudevents/i;
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]*)"?/i;
const UTF8 = new Set(['utf-8', 'utf8', 'us-ascii']);

/** The media type of a Content-Type, without parameters and in lower case. */
export function mediaType(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** True for application/json, text/json and any +json. */
export function isJsonType(contentType: string): boolean {
  return JSON_TYPE.test(contentType);
}

/** True for a media type that says that the data is itself a CloudEvent, in any spelling that a reader may accept. */
export function isEventType(contentType: string): boolean {
  return EVENT_TYPE.test(contentType);
}

/** The charset that a Content-Type names, in lower case, unless it is UTF-8 or a part of that; else null. */
export function foreignCharset(contentType: string): string | null {
  if (!contentType.includes(';')) return null;
  const charset = CHARSET.exec(contentType)?.[1]?.toLowerCase();
  return charset === undefined || UTF8.has(charset) ? null : charset;
}
