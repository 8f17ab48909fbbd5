import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { Deadlines } from '../../../src/adapters/runtime/deadlines.ts';
import { readNodeBody } from '../../../src/adapters/runtime/node-body.ts';

const LIMITS = { limit: 1000, timeout: 60_000, rate: 0 };

it('the body of a client that has gone is not waited for', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345');
  const [incoming] = (await once(server, 'request')) as [IncomingMessage];
  incoming.on('error', () => {});
  socket.destroy();
  await new Promise((resolve) => incoming.once('close', resolve));
  const hold = { stop: null, grow() {} };
  await expect(readNodeBody(incoming, LIMITS, hold, new Deadlines())).rejects.toMatchObject({
    code: 'body_aborted',
  });
  server.close();
});
