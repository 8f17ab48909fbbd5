import ipaddr from 'ipaddr.js';

/** Whether a host is this machine's own: localhost, 127.0.0.0/8 or ::1, also in a URL's brackets. */
export function isLoopback(name: string): boolean {
  const host = name.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost') return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}

/** The host of a Host header, in lower case and without its port and brackets; null when it is none. */
export function hostOf(header: string | undefined): string | null {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::\d{0,5})?$/i.exec(header ?? '');
  return match === null ? null : (match[1] ?? match[2]!).toLowerCase();
}

/** An address as browsers write it: no short forms, no zone. */
export function isAddress(host: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(host) || (host.includes(':') && ipaddr.IPv6.isValid(host));
}
