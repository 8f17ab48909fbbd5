import ipaddr from 'ipaddr.js';
import { parsePointer } from '../json/pointer.ts';
import type { Address, TlsConfig } from './config.ts';
import type { Findings, Path } from './text/text.ts';

/** Reads a file that holds a secret; throws when it cannot. */
export type SecretReader = (path: string) => string;

/** The secret itself, from the text or from the file that `file:/path` names. */
export function readSecret(findings: Findings, path: Path, text: string, readFile: SecretReader): string {
  let value = text;
  if (text.startsWith('file:')) {
    try {
      // Editors and `echo` end a file with a line break that is no part of the secret.
      value = readFile(text.slice('file:'.length)).replace(/\r?\n$/, '');
    } catch (error) {
      findings.error(path, `cannot be read from its file: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (value.trim() === '') findings.error(path, 'is empty; an empty secret protects nothing');
  return value;
}

/** The settings of TLS, with their secrets read. */
export function readTls(path: Path, raw: TlsConfig, secret: (path: Path, text: string) => string): TlsConfig {
  const pem = (name: 'ca' | 'cert' | 'key') => {
    const text = raw[name];
    return text === undefined ? {} : { [name]: secret([...path, name], text) };
  };
  return { ...pem('ca'), ...pem('cert'), ...pem('key'), verify: raw.verify };
}

/** `host:port` or `[::1]:port`; null for anything else. */
export function parseAddress(text: string, lowest = 0): Address | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  return !match || port < lowest || port > 65_535 ? null : { host: match[1] ?? match[2]!, port };
}

/** The same, of the config. */
export function readAddress(findings: Findings, path: Path, text: string, lowest = 0): Address {
  const address = parseAddress(text, lowest);
  if (address === null) {
    findings.error(
      path,
      `must be host:port with a port from ${lowest} to 65535, such as 127.0.0.1:8080 or [::1]:8080`,
    );
  }
  return address ?? { host: '127.0.0.1', port: 0 };
}

/** The pointer itself, checked. */
export function readPointer(findings: Findings, path: Path, text: string): string {
  try {
    parsePointer(text);
  } catch {
    // Its own message repeats the text, which may hold a variable's value.
    findings.error(path, 'is not a JSON Pointer: ~ must be followed by 0 or 1');
  }
  return text;
}

/** The URL of a function, checked. */
export function readUrl(findings: Findings, path: Path, text: string): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) {
    findings.error(path, 'must be a URL that begins with http:// or https://');
  } else if (url.username || url.password) {
    // URLs end up in logs and error messages; headers do not.
    findings.error(path, 'must not hold credentials; use headers, such as Authorization');
  }
  return text;
}

/** Names of sources and subscriptions: parts of paths, topics, groups and metrics. */
export function checkName(findings: Findings, path: Path, name: string): void {
  if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(name)) {
    findings.error(path, 'a name has 1 to 63 of a-z, 0-9, ".", "_", "-", and begins with a letter or digit');
  }
}

/** Kafka's rule for topic names, with room for a suffix of ours. */
export function checkTopic(findings: Findings, path: Path, topic: string, suffix = ''): void {
  const most = 249 - suffix.length;
  if (!/^[a-zA-Z0-9._-]+$/.test(topic) || topic.length > most || /^\.\.?$/.test(topic)) {
    findings.error(path, `a topic has 1 to ${most} of a-z, A-Z, 0-9, ".", "_", "-", and is not "." or ".."`);
  }
}

/** An address, or a CIDR range of them, checked. */
export function readRange(findings: Findings, path: Path, text: string): string {
  if (!ipaddr.isValid(text) && !ipaddr.isValidCIDR(text)) {
    findings.error(path, 'must be an IP address or a CIDR range, such as 10.0.0.0/8');
  }
  return text;
}

/** An origin as browsers send it. */
export function checkOrigin(findings: Findings, path: Path, origin: string): void {
  if (URL.parse(origin)?.origin !== origin) {
    findings.error(path, 'must be an origin such as https://shop.example, without a path, or *');
  }
}
