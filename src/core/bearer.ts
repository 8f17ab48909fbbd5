/** Whether a text can be sent as a Bearer token: 1 to 4096 visible ASCII characters. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(text);
}
