import { once } from 'node:events';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { startSampleFunction } from '../../src/cli/sample-function.ts';
import { freePort } from '../services/free-port.ts';

/** Calls the sample function as the dispatcher does; resolves with what it prints for it. */
async function printedFor(headers: Record<string, string>, body: string): Promise<string[]> {
  const lines: string[] = [];
  const port = await freePort();
  const stop = await startSampleFunction(port, (line) => lines.push(line));
  const call = request({ host: '127.0.0.1', port, method: 'POST', path: '/', headers });
  // As bytes: with text Node would write the header fields as UTF-8 too.
  call.end(Buffer.from(body));
  const [reply] = await once(call, 'response');
  reply.resume();
  await once(reply, 'end');
  stop();
  return lines;
}

test('the sample function prints what reaches it', async () => {
  expect(
    await printedFor({ 'ce-type': 'page.view', 'ce-id': 'e-1' }, '{"page":"/größe","ok":"✓ 日本"}'),
  ).toEqual(['sample function got page.view e-1: {"page":"/größe","ok":"✓ 日本"}']);
});

test('a payload cannot steer the terminal, nor look like a line of the log', async () => {
  const forged = '{"level":"info","msg":"ready"}';
  const body = `a\u001b[2J\u001b]0;title\u0007\r\n${forged}\n\u009b31m\u202eexe\u2028x\u0000\u007f\tend`;
  const printed = await printedFor({ 'ce-type': 'a\u009b31mb', 'ce-id': 'i\u0085d' }, body);
  expect(printed).toEqual([
    'sample function got a\\x9b31mb i\\x85d: ' +
      `a\\x1b[2J\\x1b]0;title\\x07\\x0d\\n${forged}\\n\\x9b31m\\u202eexe\\u2028x\\x00\\x7f\\tend`,
  ]);
});

test('a long payload is cut', async () => {
  const [line] = await printedFor({ 'ce-type': 't', 'ce-id': 'i' }, 'x'.repeat(5000));
  expect(line).toBe(`sample function got t i: ${'x'.repeat(200)}...`);
});
