import type { Config } from '../config.ts';
import type { Findings } from '../text/text.ts';
import type { StreamConfig } from './types.ts';

/** Windows of a key that are open at once, each of which is looked at with each event. */
const MOST_AT_ONCE = 60;

/** Checks what only several settings together can tell of streams. */
export function checkStreams({ streams, log, dedupe }: Config, findings: Findings): void {
  if (streams.size > 0 && 'kafka' in log.store && 'embedded' in dedupe.store)
    findings.warn(['dedupe'], 'is not shared: with more than one dispatcher the windows of streams are lost');
  const groups = new Map<string, string>();
  for (const stream of streams.values()) {
    checkTopics(stream, findings);
    checkThreshold(stream, findings);
    const other = groups.get(stream.group);
    if (other !== undefined)
      findings.error(['streams', stream.name, 'group'], `group ${stream.group} is that of ${other} too`);
    groups.set(stream.group, stream.name);
  }
}

function checkTopics({ name, topics, emit }: StreamConfig, findings: Findings): void {
  const own = [`${name}.late`, `${name}.by-key`];
  for (const [index, topic] of topics.entries()) {
    const path = ['streams', name, 'topics', index];
    if (topics.indexOf(topic) < index) findings.error(path, `${topic} is listed twice`);
    else if (own.includes(topic)) findings.error(path, `${topic} is written by the stream itself`);
    else if (topic === emit.topic)
      findings.error(
        ['streams', name, 'emit', 'topic'],
        `${topic} is among its own topics: windows of windows for ever`,
      );
  }
  if (own.includes(emit.topic))
    findings.error(['streams', name, 'emit', 'topic'], `${emit.topic} is for the stream itself`);
}

function checkThreshold({ name, emit, having, window }: StreamConfig, findings: Findings): void {
  if (emit.on !== 'threshold') return;
  if (having === null)
    findings.warn(['streams', name, 'having'], 'is missing: each window is told of with its first event');
  if ('sliding' in window && window.sliding / window.every > MOST_AT_ONCE)
    findings.error(
      ['streams', name, 'window', 'every'],
      `makes more than ${MOST_AT_ONCE} windows at once, which is too many for emit.on threshold`,
    );
}
