import type { Findings } from '../text/findings.ts';
import type { Path } from '../text/path.ts';

export interface Address {
  host: string;
  port: number;
}

/** Reads `host:port` or `[::1]:port`; null for any other text. */
export function parseAddress(text: string, minPort = 0): Address | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  return !match || port < minPort || port > 65_535 ? null : { host: match[1] ?? match[2]!, port };
}

/** Checks and returns an address; `127.0.0.1:0` when it is wrong. */
export function readAddress(findings: Findings, path: Path, text: string, minPort = 0): Address {
  const address = parseAddress(text, minPort);
  if (address === null) {
    findings.error(
      path,
      `must be host:port with a port from ${minPort} to 65535, such as 127.0.0.1:8080 or [::1]:8080`,
    );
  }
  return address ?? { host: '127.0.0.1', port: 0 };
}
