import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startGateway } from './harness.ts';

it('the device of the README is let in, and known by its id', async () => {
  const gateway = await startGateway({
    yaml: 'sources: { sensors: { topic: sensors, id: [/id], verify: { scheme: device, secrets: [fleet] } } }',
  });
  const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8');
  const client = /\*\*Devices\.\*\*[\s\S]*?```js\n([\s\S]*?)```/.exec(readme)![1]!;
  const file = join(tmpdir(), `postern-device-${crypto.randomUUID()}.mjs`);
  const program = client
    .replace('https://gw', gateway.url)
    .replace('await fetch', 'const reply = await fetch')
    .concat('console.log(reply.status, await reply.text());');
  try {
    await writeFile(file, `const S = 'fleet';\nconst body = '{"id":"1"}';\n${program}`);
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 30_000 });
    expect(stdout).toMatch(/^202 \{"accepted":1,/);
    expect((await gateway.read('sensors')).map(({ headers }) => String(headers.ce_device))).toEqual([
      'therm-1',
    ]);
  } finally {
    await rm(file, { force: true });
    await gateway.close();
  }
});
