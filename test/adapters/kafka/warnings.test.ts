import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { CLIENTS, counts, makeTopic } from './setting.ts';

test.each(CLIENTS)(
  'C43 runs without a warning of its own on this Node, and hides no other (%s)',
  async (client) => {
    const brokers = inject('kafkaBrokers');
    const topic = await makeTopic(brokers, 2);
    const script = fileURLToPath(new URL('./once.ts', import.meta.url));
    const { stderr } = await promisify(execFile)(process.execPath, [
      '--trace-warnings',
      script,
      brokers,
      topic,
      client,
    ]);
    const warnings = stderr.match(/^\(node.*$/gm) ?? [];
    expect(warnings).toEqual([expect.stringContaining('another warning')]);
    expect((await counts(brokers, topic)).reduce((sum, one) => sum + one, 0)).toBe(50);
  },
);
