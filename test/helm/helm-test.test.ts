import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startGateway } from '../gateway/harness.ts';
import { render, the } from './chart.ts';

const run = promisify(execFile);

test.each([true, false])('`helm test` passes where gateway.openapi is %s', async (openapi) => {
  const values = { config: { gateway: { openapi }, sources: { web: { topic: 'web', id: ['/id'] } } } };
  const events = [{ path: '/events/web', body: { id: '$UNIQUE' }, status: 202 }];
  const objects = await render({ ...values, test: { events } });
  const { command, env } = the(objects, 'Pod').spec.containers[0];
  const gateway = await startGateway({
    yaml: `gateway: { openapi: ${openapi} }\nsources: { web: { topic: web, id: [/id] } }`,
  });
  try {
    const { stdout } = await run(process.execPath, command.slice(1), {
      env: {
        POSTERN_URL: gateway.url,
        POSTERN_EVENTS: env.find(({ name }: { name: string }) => name === 'POSTERN_EVENTS').value,
      },
      timeout: 30_000,
    });
    expect(stdout).toContain(`ok: GET /openapi.json is answered ${openapi ? 200 : 404}`);
    expect(stdout).toContain('ok: POST /events/web is answered 202');
  } finally {
    await gateway.close();
  }
});
