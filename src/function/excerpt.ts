/** Bytes of UTF-8. */
const MAX_BYTES = 1024;

/** The beginning of an error text for a header. It may quote a function's answer, which must not break lines of a log. */
export function excerpt(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(MAX_BYTES));
  return text
    .slice(0, read)
    .toWellFormed()
    .replace(/[\u0000-\u001f\u007f]+/g, ' ');
}
