// A Lambda function in Node. AWS's own runtime client needs a compiler, so this speaks the Runtime API itself; the
// events are read by AWS's library for Kafka. What it does with a record, the record's value says.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { kafkaConsumer, SchemaType } from '@aws-lambda-powertools/kafka';
import type { Did, Seen } from './lambda.ts';

const { AWS_LAMBDA_RUNTIME_API, SEEN } = process.env;
const emulator = process.ppid;
const failed = new Set<string>();
const api = `http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;

interface Event {
  eventSource: string;
  bootstrapServers: string;
  records: (Omit<Seen, 'value'> & { value?: Did; originalKey?: string })[];
}

async function handle({ eventSource, bootstrapServers, records }: Event): Promise<unknown> {
  const batchItemFailures: object[] = [];
  let answer: object = { batchItemFailures };
  for (const { topic, partition, offset, timestamp, timestampType, key, value, headers } of records) {
    const seen = { eventSource, bootstrapServers, topic, partition, offset, timestamp, timestampType };
    const { pad, ...did } = value ?? {};
    const bytes = pad?.length ?? 0;
    appendFileSync(SEEN!, `${JSON.stringify({ ...seen, key, value: did, headers, bytes })}\n`);
    const place = `${topic}-${partition}-${offset}`;
    if (did.do === 'fail' || (did.do === 'fail once' && !failed.has(place))) {
      failed.add(place);
      batchItemFailures.push({ itemIdentifier: { partition: `${topic}-${partition}`, offset } });
    } else if (did.do === 'error') throw new RangeError('no such order');
    else if (did.do === 'exit') process.exit(3);
    else if (did.do === 'hang') while (process.ppid === emulator) await sleep(100);
    else if (did.do === 'long') answer = { text: 'x'.repeat(7 * 1024 * 1024) };
    else if (did.do === 'reply') answer = did.with ?? {};
  }
  return answer;
}

const handler = kafkaConsumer(handle as never, { value: { type: SchemaType.JSON } });

for (;;) {
  const next = await fetch(`${api}/next`);
  const id = next.headers.get('lambda-runtime-aws-request-id');
  try {
    const event = await next.json();
    const answer = await handler(event as Parameters<typeof handler>[0], {} as never);
    await fetch(`${api}/${id}/response`, { method: 'POST', body: JSON.stringify(answer) });
  } catch (error) {
    const { name, message } = error as Error;
    await fetch(`${api}/${id}/error`, {
      method: 'POST',
      headers: { 'lambda-runtime-function-error-type': name },
      body: JSON.stringify({ errorType: name, errorMessage: message }),
    });
  }
}
