import type { Path } from '../text/path.ts';
import { readAddress } from '../values/address.ts';
import type { Reader } from '../values/reader.ts';
import { readTls } from '../values/tls.ts';
import type { LogDocument } from './shape.ts';
import type { KafkaConfig, LogConfig } from './types.ts';

/** Longest age of events in the embedded log, in milliseconds: 10 years. */
const MAX_AGE = 3660 * 86_400_000;

/** Makes the log's config of its document, and checks each value on its own. */
export function readLog(raw: LogDocument, reader: Reader): LogConfig {
  const { time, size } = reader;
  const { spool } = raw;
  return {
    store: readStore(raw, reader),
    spool: spool
      ? {
          ...spool,
          max: size(['log', 'spool', 'max'], spool.max, 2 ** 50),
          after: time(['log', 'spool', 'after'], spool.after),
        }
      : null,
    timeout: time(['log', 'timeout'], raw.timeout),
  };
}

function readStore({ kafka, embedded }: LogDocument, reader: Reader): LogConfig['store'] {
  const { findings, time, size } = reader;
  if (!kafka === !embedded) findings.error(['log'], 'needs one of kafka and embedded');
  if (kafka) return { kafka: readKafka(kafka, reader) };
  const { path, retention } = embedded ?? { path: '.postern', retention: { age: '7d', size: '1GiB' } };
  const at = ['log', 'embedded', 'retention'];
  return {
    embedded: {
      path,
      retention: {
        age: time([...at, 'age'], retention.age, 1000, MAX_AGE),
        size: size([...at, 'size'], retention.size, 2 ** 50),
      },
    },
  };
}

function readKafka(raw: NonNullable<LogDocument['kafka']>, reader: Reader): KafkaConfig {
  const { findings, secret } = reader;
  const at = (...rest: (string | number)[]): Path => ['log', 'kafka', ...rest];
  if (raw.brokers.length === 0) findings.error(at('brokers'), 'names no broker');
  for (const [index, broker] of raw.brokers.entries()) readAddress(findings, at('brokers', index), broker, 1);
  const { create } = raw;
  return {
    ...raw,
    tls: readTls(at('tls'), raw.tls, reader),
    sasl: raw.sasl ? { ...raw.sasl, password: secret(at('sasl', 'password'), raw.sasl.password) } : null,
    create: create === false ? null : create === true ? { partitions: 0, replication: 0 } : create,
  };
}
