import type { Path } from '../text/path.ts';
import { checkName, checkTopic, checkTopics, readPointer } from '../values/check.ts';
import type { Reader } from '../values/reader.ts';
import type { StreamDocument } from './shape.ts';
import type { StreamConfig, WindowConfig } from './types.ts';

/** Makes a stream of its document, and checks each value on its own. */
export function readStream(name: string, raw: StreamDocument, reader: Reader): StreamConfig {
  const { findings, time } = reader;
  const at = (...rest: (string | number)[]): Path => ['streams', name, ...rest];
  checkName(findings, at(), name);
  checkTopics(findings, at('topics'), raw.topics);
  checkTopic(findings, at('emit', 'topic'), raw.emit.topic);
  if (Object.keys(raw.aggregate).length === 0) findings.error(at('aggregate'), 'names no result');
  return {
    ...raw,
    name,
    group: raw.group ?? `postern.stream.${name}`,
    filter: raw.filter ?? null,
    key: raw.key === undefined ? null : readPointer(findings, at('key'), raw.key),
    window: readWindow(at('window'), raw.window, reader),
    lateness: time(at('lateness'), raw.lateness, 0),
    idle: time(at('idle'), raw.idle, 1_000),
    having: raw.having ?? null,
  };
}

function readWindow(path: Path, raw: StreamDocument['window'], { findings, time }: Reader): WindowConfig {
  const { tumbling, sliding, every, session, count } = raw;
  const given = [tumbling, sliding, session, count].filter((one) => one !== undefined);
  if (given.length !== 1) findings.error(path, 'needs one of tumbling, sliding, session and count');
  if ((sliding === undefined) !== (every === undefined))
    findings.error(path, 'needs sliding and every together');
  const span = (name: string, text: string) => time([...path, name], text, 1_000);
  if (count !== undefined) return { count };
  if (session !== undefined) return { session: span('session', session) };
  if (sliding === undefined) return { tumbling: span('tumbling', tumbling ?? '1m') };
  const size = span('sliding', sliding);
  const step = span('every', every ?? sliding);
  if (size % step !== 0) findings.error([...path, 'every'], 'must divide sliding without a rest');
  return { sliding: size, every: step };
}
