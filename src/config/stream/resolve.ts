import type { Reader } from '../resolve.ts';
import type { ConfigDocument } from '../shape.ts';
import type { Path } from '../text/text.ts';
import { checkName, checkTopic, readPointer } from '../values.ts';
import type { StreamConfig, WindowConfig } from './types.ts';

type RawStream = ConfigDocument['streams'][string];

/** A stream of the document, each value checked for itself. */
export function readStream(name: string, raw: RawStream, reader: Reader): StreamConfig {
  const { findings, time } = reader;
  const at = (...rest: (string | number)[]): Path => ['streams', name, ...rest];
  checkName(findings, at(), name);
  if (raw.topics.length === 0) findings.error(at('topics'), 'names no topic');
  for (const [index, topic] of raw.topics.entries()) checkTopic(findings, at('topics', index), topic);
  checkTopic(findings, at('emit', 'topic'), raw.emit.topic);
  if (Object.keys(raw.aggregate).length === 0) findings.error(at('aggregate'), 'names no result');
  return {
    name,
    group: raw.group ?? `postern.stream.${name}`,
    topics: raw.topics,
    from: raw.from,
    filter: raw.filter ?? null,
    key: raw.key === undefined ? null : readPointer(findings, at('key'), raw.key),
    window: readWindow(at('window'), raw.window, reader),
    time: raw.time,
    lateness: time(at('lateness'), raw.lateness, 0),
    idle: time(at('idle'), raw.idle, 1_000),
    maxOpenWindows: raw.maxOpenWindows,
    aggregate: raw.aggregate,
    having: raw.having ?? null,
    emit: raw.emit,
  };
}

function readWindow(path: Path, raw: RawStream['window'], { findings, time }: Reader): WindowConfig {
  const { tumbling, sliding, every, session, count } = raw;
  const given = [tumbling, sliding, session, count].filter((one) => one !== undefined);
  if (given.length !== 1) findings.error(path, 'needs one of tumbling, sliding, session and count');
  if ((sliding === undefined) !== (every === undefined))
    findings.error(path, 'sliding and every go together');
  const span = (name: string, text: string) => time([...path, name], text, 1_000);
  if (count !== undefined) return { count };
  if (session !== undefined) return { session: span('session', session) };
  if (sliding === undefined) return { tumbling: span('tumbling', tumbling ?? '1m') };
  const size = span('sliding', sliding);
  const step = span('every', every ?? sliding);
  if (size % step !== 0) findings.error([...path, 'every'], 'must go into sliding a whole number of times');
  return { sliding: size, every: step };
}
