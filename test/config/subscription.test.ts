import { expect, test } from 'vitest';
import type { HttpFunction } from '../../src/config/function/types.ts';
import { readConfig } from '../../src/config/read.ts';

const PEM = '-----BEGIN CERTIFICATE-----';

function read(http: object, files: Record<string, string> = {}) {
  const text = JSON.stringify({
    log: { embedded: {} },
    dedupe: { embedded: {} },
    sources: { s: { topic: 't', keys: ['secret-key-of-a-source'] } },
    subscriptions: { f: { topics: ['t'], function: { http: { url: 'https://fn.example/run', ...http } } } },
  });
  const readFile = (path: string) => {
    if (files[path] === undefined) throw new Error(`no such file: ${path}`);
    return files[path];
  };
  return readConfig(text, { TOKEN: 't0k3n', KEY: 'azure-k3y' }, { file: 'p.yaml', readFile });
}

/** Problems, without what comes before the function's settings in their pointers. */
function problems(http: object, files?: Record<string, string>): string[] {
  return read(http, files).problems.map(
    ({ pointer, message }) => `${pointer.replace('/subscriptions/f/function/http', '')}: ${message}`,
  );
}

function settings(http: object, files?: Record<string, string>): HttpFunction {
  const { config, problems: found } = read(http, files);
  expect(found).toEqual([]);
  return (config!.subscriptions.get('f')!.function as { http: HttpFunction }).http;
}

test('the least function has no login, signature or certificate', () => {
  expect(settings({})).toMatchObject({ auth: null, sign: [], tls: null, mode: 'binary' });
});

test('auth: one of four, with secrets from variables and files', () => {
  const auth = (given: object, files?: Record<string, string>) => settings({ auth: given }, files).auth;
  expect(auth({ bearer: '${TOKEN}' })).toEqual({ bearer: 't0k3n' });
  expect(auth({ azureKey: '${KEY}' })).toEqual({ azureKey: 'azure-k3y' });
  expect(auth({ basic: { user: 'me', password: 'file:/pass' } }, { '/pass': 'p:ss\n' })).toEqual({
    basic: { user: 'me', password: 'p:ss' },
  });
  expect(auth({ google: { audience: 'https://other.example' } })).toEqual({
    google: { audience: 'https://other.example' },
  });
});

test("auth: Google's audience is the function's URL without its query", () => {
  for (const url of ['https://fn.example/run', 'https://fn.example/run?a=1&b=2', 'https://fn.example/run#a'])
    expect(settings({ url, auth: { google: {} } }).auth).toEqual({
      google: { audience: 'https://fn.example/run' },
    });
});

test('auth: none, two, or one beside a header of the same name are refused', () => {
  const one = '/auth: needs one of bearer, basic, google and azureKey';
  expect(problems({ auth: {} })).toEqual([one]);
  expect(problems({ auth: { bearer: 'a', azureKey: 'b' } })).toEqual([one]);
  expect(problems({ auth: { bearer: 'a' }, headers: { Authorization: 'b' } })).toEqual([
    '/auth: cannot go with a header authorization',
  ]);
  expect(problems({ auth: { azureKey: 'a' }, headers: { 'X-Functions-Key': 'b' } })).toEqual([
    '/auth: cannot go with a header x-functions-key',
  ]);
  expect(problems({ auth: { azureKey: 'a' }, headers: { Authorization: 'b' } })).toEqual([]);
  expect(problems({ auth: { basic: { user: 'a:b', password: 'c' } } })).toEqual([
    '/auth/basic/user: cannot have a colon',
  ]);
});

test('C59 what no header can hold is refused without being shown', () => {
  const found = problems(
    {
      auth: { bearer: 'file:/a' },
      headers: { 'x-a': 'file:/a', 'webhook-id': '1', 'Ce-Id': '1', 'a b': '1' },
    },
    { '/a': 'hush\u0000hush' },
  );
  expect(found).toEqual([
    '/headers/x-a: has characters that a header cannot have',
    '/headers/webhook-id: is set by Postern',
    '/headers/Ce-Id: is set by Postern',
    '/headers/…: is not a header name',
    '/auth/bearer: has characters that a header cannot have',
  ]);
});

test('sign: secrets of Standard Webhooks', () => {
  const secret = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;
  expect(settings({ sign: [secret(24), 'file:/s'] }, { '/s': `${secret(64)}\n` }).sign).toEqual([
    secret(24),
    secret(64),
  ]);
  const wrong = 'must be whsec_ and the base64 of 24 to 64 bytes';
  const plain = secret(32).slice('whsec_'.length);
  expect(problems({ sign: [secret(23), secret(65), plain, 'whsec_hush!', 'whsk_AAAA'] })).toEqual(
    [0, 1, 2, 3, 4].map((index) => `/sign/${index}: ${wrong}`),
  );
  expect(problems({ sign: ['file:/empty'] }, { '/empty': '\n' })[0]).toMatch(/^\/sign\/0: is empty/);
});

test('tls: an authority, a certificate with its key, or no check', () => {
  expect(settings({ tls: {} }).tls).toEqual({ verify: true });
  const files = { '/ca': PEM, '/cert': PEM, '/key': 'key' };
  expect(settings({ tls: { ca: 'file:/ca', cert: 'file:/cert', key: 'file:/key' } }, files).tls).toEqual({
    ca: PEM,
    cert: PEM,
    key: 'key',
    verify: true,
  });
  expect(settings({ tls: { verify: false } }).tls).toEqual({ verify: false });
  expect(problems({ tls: { cert: PEM } })).toEqual(['/tls: needs cert and key together']);
  expect(problems({ tls: { key: 'k' } })).toEqual(['/tls: needs cert and key together']);
  expect(problems({ url: 'http://fn.example', tls: {} })).toEqual([
    '/tls: cannot go with a URL that begins with http://',
  ]);
});
