/** Loaded into a process with `node --import`, as an SDK would be: appends each span to the file that `?file=` names. */
import { appendFileSync } from 'node:fs';
import { trace } from '@opentelemetry/api';
import { RecordingProvider } from '../adapters/telemetry/recording-provider.ts';

const file = new URL(import.meta.url).searchParams.get('file')!;
trace.setGlobalTracerProvider(
  new RecordingProvider((span) => appendFileSync(file, `${JSON.stringify(span)}\n`)),
);
