import { readAdmin } from './admin/resolve.ts';
import type { Config } from './config.ts';
import { readDedupe } from './dedupe/resolve.ts';
import { readGateway } from './gateway/resolve.ts';
import { readLog } from './log/resolve.ts';
import type { ConfigDocument } from './shape.ts';
import { readSource } from './source/resolve.ts';
import { readStream } from './stream/resolve.ts';
import { readSubscription } from './subscription/resolve.ts';
import type { Findings } from './text/findings.ts';
import { makeReader, type Reader, type SecretReader } from './values/reader.ts';
import { readWorkflow } from './workflow/resolve.ts';

/** Makes the config of a document that has the right shape, and checks each value on its own. */
export function resolveConfig(document: ConfigDocument, findings: Findings, readFile: SecretReader): Config {
  const reader = makeReader(findings, readFile);
  const read = <R, T>(raw: Record<string, R>, one: (name: string, raw: R, reader: Reader) => T) =>
    new Map(Object.entries(raw).map(([name, value]) => [name, one(name, value, reader)]));
  // Without topic creation, a topic that the config does not name may be missing, so none is assumed.
  const creates = document.log.kafka?.create !== false;
  return {
    gateway: readGateway(document.gateway, reader),
    admin: readAdmin(document.admin, reader),
    log: readLog(document.log, reader),
    dedupe: readDedupe(document.dedupe, reader),
    schemas: document.schemas,
    sources: read(document.sources, readSource),
    subscriptions: read(document.subscriptions, (name, raw) => readSubscription(name, raw, creates, reader)),
    streams: read(document.streams, readStream),
    workflows: read(document.workflows, readWorkflow),
    grace: reader.time(['grace'], document.grace),
    logLevel: document.logLevel,
  };
}
