import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { runScenario, type Scenario } from '../../load/client/scenario.ts';

const scenario: Scenario = { name: 'test', kind: 'iot', batch: 1, connections: 4, requests: 60 };

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

/** A server that gives the n-th request a status and a body, or no answer for a status of 0. */
async function serve(answer: (n: number, body: string) => [number, string]): Promise<string> {
  let n = 0;
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => (body += bytes.toString()));
    request.on('end', () => {
      const [status, text] = answer(n++, body);
      if (status > 0) response.writeHead(status).end(text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/`;
}

describe('the load generator', () => {
  it('sends a fresh id with each request and counts them', async () => {
    const ids = new Set<string>();
    const url = await serve((_n, body) => {
      ids.add((JSON.parse(body) as { id: string }).id);
      return [202, 'ok'];
    });
    const { events } = await runScenario(url, scenario, 'run', 'ok');
    expect([events, ids.size]).toEqual([60, 60]);
  });

  it('C66 fails when a third of the answers is 503', async () => {
    const url = await serve((n) => [n % 3 === 0 ? 503 : 202, 'ok']);
    await expect(runScenario(url, scenario, 'run')).rejects.toThrow(
      /of 60 requests 40 were answered 2xx, 20 otherwise/,
    );
  });

  it('C66 fails when a body is not the expected one', async () => {
    const url = await serve((n) => [202, n === 30 ? 'other' : 'ok']);
    await expect(runScenario(url, scenario, 'run', 'ok')).rejects.toThrow(/1 unexpected bodies/);
  });

  it('C66 fails when the server freezes', { tags: ['slow'] }, async () => {
    const url = await serve((n) => [n < 20 ? 202 : 0, 'ok']);
    await expect(runScenario(url, { ...scenario, requests: 24 }, 'run')).rejects.toThrow(/timeouts/);
  });
});
