// `node load/ingest/idle.ts PORT COUNT`: so many clients that each ask once, and then keep their connection and send nothing.
import { connect } from 'node:net';

const [port, count] = process.argv.slice(2).map(Number) as [number, number];
let answered = 0;
let closed = 0;

for (let i = 0; i < count; i++) {
  const socket = connect(port, '127.0.0.1');
  socket.once('data', () => {
    answered++;
    if (answered === count) process.stdout.write('ready\n');
  });
  socket.on('close', () => closed++);
  socket.on('error', () => {});
  socket.write('GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n');
  // A listening socket queues a few hundred connections.
  if (i % 100 === 99) await new Promise((resolve) => socket.once('data', resolve));
}
process.on('SIGTERM', () => process.stdout.write(`${count - closed} open\n`, () => process.exit(0)));
