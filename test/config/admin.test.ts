import { expect, test } from 'vitest';
import { readConfig } from '../../src/config/read.ts';

const STORES = 'log: { embedded: {} }\ndedupe: { embedded: {} }\n';
const SECRET = 'hunter2-hunter2-hunter2';

function read(admin: string, env: Record<string, string> = {}) {
  const readFile = (path: string) => {
    if (path !== '/run/token') throw new Error(`no such file: ${path}`);
    return `${SECRET}\n`;
  };
  const { config, problems } = readConfig(`${STORES}admin: ${admin}`, env, { file: 'p.yaml', readFile });
  return { admin: config?.admin, problems: problems.map(({ pointer, message }) => `${pointer}: ${message}`) };
}

test('tokens are texts, variables or files, with rights to read or to operate', () => {
  const { admin, problems } = read(
    "{ hosts: [Admin.Shop.example], tokens: { read: ['file:/run/token', plain], operate: ['${T}'] } }",
    { T: 'from-outside' },
  );
  expect(problems).toEqual([]);
  expect(admin).toEqual({
    listen: { host: '127.0.0.1', port: 8081 },
    hosts: ['admin.shop.example'],
    tokens: { read: [SECRET, 'plain'], operate: ['from-outside'] },
  });
});

test('a token that cannot be sent, and a host that is no name, are refused', () => {
  expect(
    read("{ tokens: { read: [' ', 'two words', 'zwölf'], operate: ['file:/none', \"a\\nb\"] } }").problems,
  ).toEqual([
    '/admin/tokens/read/0: is empty; an empty secret protects nothing',
    expect.stringMatching('^/admin/tokens/read/1: must be 1 to 4096 visible ASCII characters'),
    expect.stringMatching('^/admin/tokens/read/2: must be 1 to 4096 visible ASCII characters'),
    '/admin/tokens/operate/0: cannot be read from its file: no such file: /none',
    expect.stringMatching('^/admin/tokens/operate/1: must be 1 to 4096 visible ASCII characters'),
  ]);
  for (const host of [
    'a.example:8081',
    'http://a.example',
    '*.example',
    '10.0.0.1',
    '[::1]',
    '',
    'a b',
    'a/b',
  ])
    expect(read(`{ hosts: ['${host}'] }`).problems).toEqual([
      expect.stringMatching(/^\/admin\/hosts\/0: must be a host name without a port/),
    ]);
});

test.each([
  `{ tokens: ${SECRET} }`,
  `{ tokens: [${SECRET}] }`,
  `{ tokens: { read: ${SECRET} } }`,
  `{ tokens: { operate: { ${SECRET}: 1 } } }`,
  `{ tokens: { operate: [{ token: ${SECRET} }] } }`,
  `{ tokens: { operate: [[${SECRET}]] } }`,
  `{ tokens: { operate: ['${SECRET} with a space'] } }`,
  `{ tokens: { operate: ['file:/run/token', '${SECRET}\\ä'] } }`,
])('a token in the wrong shape is refused and never shown: %s', (text) => {
  const { problems } = read(text);
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.join('\n')).not.toContain(SECRET);
});
