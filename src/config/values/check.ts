import ipaddr from 'ipaddr.js';
import { parsePointer } from '../../json/pointer.ts';
import type { Findings } from '../text/findings.ts';
import type { Path } from '../text/path.ts';

/** Checks and returns a JSON Pointer. */
export function readPointer(findings: Findings, path: Path, text: string): string {
  try {
    parsePointer(text);
  } catch {
    // The parser's message repeats the text, which may hold a variable's value.
    findings.error(path, 'is not a JSON Pointer: ~ must be followed by 0 or 1');
  }
  return text;
}

/** Checks and returns the URL of a function. */
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

/** Checks a name of a source, subscription, stream or workflow: it is part of paths, topics, groups and metrics. */
export function checkName(findings: Findings, path: Path, name: string): void {
  if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(name)) {
    findings.error(path, 'a name has 1 to 63 of a-z, 0-9, ".", "_", "-", and begins with a letter or digit');
  }
}

/** Checks a topic by Kafka's rules. `suffix` is one that Postern adds to it. */
export function checkTopic(findings: Findings, path: Path, topic: string, suffix = ''): void {
  const max = 249 - suffix.length;
  if (!/^[a-zA-Z0-9._-]+$/.test(topic) || topic.length > max || /^\.\.?$/.test(topic)) {
    findings.error(path, `a topic has 1 to ${max} of a-z, A-Z, 0-9, ".", "_", "-", and is not "." or ".."`);
  }
}

/** Checks a list of topics to read. */
export function checkTopics(findings: Findings, path: Path, topics: string[]): void {
  if (topics.length === 0) findings.error(path, 'names no topic');
  for (const [index, topic] of topics.entries()) checkTopic(findings, [...path, index], topic);
}

/** Checks and returns an IP address or CIDR range. */
export function readRange(findings: Findings, path: Path, text: string): string {
  if (!ipaddr.isValid(text) && !ipaddr.isValidCIDR(text)) {
    findings.error(path, 'must be an IP address or a CIDR range, such as 10.0.0.0/8');
  }
  return text;
}

/** Checks an origin, as browsers send it. */
export function checkOrigin(findings: Findings, path: Path, origin: string): void {
  if (URL.parse(origin)?.origin !== origin) {
    findings.error(path, 'must be an origin such as https://shop.example, without a path, or *');
  }
}
