/** Text that may become a CloudEvents attribute, a Kafka header or a key: no control characters, no lone surrogates (CloudEvents 3.1). */
const UNUSABLE =
  /[\u0000-\u001f\u007f-\u009f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Why a text can't be an attribute, or null. */
export function unusable(text: string, limit: number): string | null {
  if (text.length > limit) return `has ${text.length} characters; the limit is ${limit}`;
  if (!isPlain(text) && UNUSABLE.test(text)) return 'holds a control character or half of a surrogate pair';
  return null;
}

/** Whether the text is printable ASCII, as most are: this loop costs a fraction of the pattern. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}
