import type { Findings } from '../text/findings.ts';
import type { StreamConfig } from './types.ts';

/** Most open windows of a key with emit.on threshold: each event is checked against all of them. */
const MAX_OPEN = 60;

/** Checks settings of streams against each other. */
export function checkStreams(streams: Iterable<StreamConfig>, findings: Findings): void {
  const groups = new Map<string, string>();
  for (const stream of streams) {
    checkTopics(stream, findings);
    checkThreshold(stream, findings);
    const other = groups.get(stream.group);
    if (other !== undefined)
      findings.error(
        ['streams', stream.name, 'group'],
        `group ${stream.group} is also the group of ${other}`,
      );
    groups.set(stream.group, stream.name);
  }
}

function checkTopics({ name, topics, emit }: StreamConfig, findings: Findings): void {
  const own = [`${name}.late`, `${name}.by-key`];
  for (const [index, topic] of topics.entries()) {
    const path = ['streams', name, 'topics', index];
    if (topics.indexOf(topic) < index) findings.error(path, `${topic} is listed twice`);
    else if (own.includes(topic)) findings.error(path, `${topic} is a topic that this stream writes itself`);
    else if (topic === emit.topic)
      findings.error(
        ['streams', name, 'emit', 'topic'],
        `${topic} is among its own topics, so results would go round for ever`,
      );
  }
  if (own.includes(emit.topic))
    findings.error(['streams', name, 'emit', 'topic'], `${emit.topic} is a topic for the stream's own use`);
}

function checkThreshold({ name, emit, having, window }: StreamConfig, findings: Findings): void {
  if (emit.on !== 'threshold') return;
  if (having === null)
    findings.warn(['streams', name, 'having'], 'is missing, so each window emits at its first event');
  if ('sliding' in window && window.sliding / window.every > MAX_OPEN)
    findings.error(
      ['streams', name, 'window', 'every'],
      `makes more than ${MAX_OPEN} windows overlap, which is too many for emit.on threshold`,
    );
}
