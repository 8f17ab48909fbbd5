import { expect, test } from 'vitest';
import type { HttpFunction } from '../../src/config/function/types.ts';
import { conclude } from '../../src/function/answer.ts';
import { stored } from '../dispatcher/records.ts';
import { call, invoker, serve } from './calls.ts';

/** A function that lets in whoever has the right header, as the platforms do. */
async function guarded(header: string, value: string): Promise<string> {
  const server = await serve((request, response) => {
    response.writeHead(request.headers[header] === value ? 204 : 401).end();
  });
  return server.url;
}

test('a function lets in who has its token, login or key', async () => {
  const login = Buffer.from('üser:p:ss').toString('base64');
  for (const [auth, header, value] of [
    [{ bearer: 't0k.en' }, 'authorization', 'Bearer t0k.en'],
    [{ basic: { user: 'üser', password: 'p:ss' } }, 'authorization', `Basic ${login}`],
    [{ azureKey: 'k3y==' }, 'x-functions-key', 'k3y=='],
  ] as [HttpFunction['auth'], string, string][]) {
    const url = await guarded(header, value);
    expect(await call(invoker(url, { auth }), [stored('1')])).toMatchObject({ status: 204 });
    for (const wrong of [null, { bearer: 'other' }]) {
      const answer = await call(invoker(url, { auth: wrong }), [stored('1')]);
      expect([answer.status, conclude(answer)]).toEqual([401, 'refused']);
    }
  }
});

test('a key of Azure goes with another login', async () => {
  const server = await serve((request, response) => {
    const { authorization, 'x-functions-key': key } = request.headers;
    response.writeHead(authorization === 'Bearer t' && key === 'k' ? 204 : 401).end();
  });
  const target = invoker(server.url, { auth: { azureKey: 'k' }, headers: { authorization: 'Bearer t' } });
  expect(await call(target, [stored('1')])).toMatchObject({ status: 204 });
});

test('C59 what no header can hold is refused at the start, and not shown', () => {
  for (const http of [
    { auth: { bearer: 'se\ncret' } },
    { auth: { azureKey: 'se€cret' } },
    { headers: { 'x-key': 'se\ncret' } },
  ]) {
    let message = '';
    try {
      invoker('http://127.0.0.1:1', http);
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError);
      message = (error as Error).message;
    }
    expect(message).toMatch(/^the header [a-z-]+ cannot be sent/);
    expect(message).not.toContain('cret');
  }
});
