/** The token of an Authorization header of scheme Bearer (RFC 6750 section 2.1); undefined for another scheme. */
export function bearerToken(authorization: string): string | undefined {
  return /^bearer /i.test(authorization) ? authorization.slice('bearer '.length).trim() : undefined;
}

/** Whether a text can be sent as a Bearer token: 1 to 4096 visible ASCII characters. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(text);
}
