import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createProxy } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { decodeJwt, exportPKCS8, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { bodyOf } from '../dispatcher/functions.ts';
import { makeAuthority } from '../services/certificates.ts';

const AUDIENCE = 'https://fn.example/run';
const TOKENS = 'https://oauth2.googleapis.com/token';
const GOOGLE = join(import.meta.dirname, '..', '..', 'src', 'function', 'google.ts');
const PROGRAM = `
  const { googleTokens } = await import(process.argv[1]);
  const tokens = googleTokens({ audience: process.argv[2], now: Date.now });
  console.log(await tokens.fetch(), tokens.current() !== null);
`;

/**
 * The library only asks Google for the tokens of an account, whatever its key file says. So a process gets a proxy
 * that leads to a server of ours, and an authority that says it is Google's.
 */
test('the key of a service account gets a token for the audience', async () => {
  const [account, google] = await Promise.all([
    generateKeyPair('RS256', { extractable: true }),
    generateKeyPair('RS256'),
  ]);
  const authority = await makeAuthority();
  const certificate = await authority.issue('google', ['DNS:oauth2.googleapis.com']);
  const asked: unknown[] = [];
  const server = createHttps(certificate, async (request, response) => {
    const form = new URLSearchParams((await bodyOf(request)).toString());
    const { payload } = await jwtVerify(form.get('assertion')!, account.publicKey, { audience: TOKENS });
    asked.push([request.url, request.headers.host, form.get('grant_type'), payload.iss]);
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'RS256' })
      .setAudience(payload.target_audience as string)
      .setExpirationTime('1h')
      .sign(google.privateKey);
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ id_token: token }));
  });
  const proxied: (string | undefined)[] = [];
  const proxy = createProxy().on('connect', (request, socket) => {
    proxied.push(request.url);
    const upstream = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    for (const side of [upstream, socket]) side.on('error', () => {});
  });
  const folder = await mkdtemp(join(tmpdir(), 'postern-account-'));
  try {
    for (const one of [server, proxy]) {
      one.listen(0, '127.0.0.1');
      await once(one, 'listening');
    }
    await writeFile(join(folder, 'ca.pem'), authority.ca);
    const key = {
      type: 'service_account',
      client_email: 'postern@project.example',
      private_key: await exportPKCS8(account.privateKey),
    };
    await writeFile(join(folder, 'key.json'), JSON.stringify(key));
    const args = ['--input-type=module', '-e', PROGRAM, GOOGLE, AUDIENCE];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      env: {
        HOME: folder,
        GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'key.json'),
        HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
        NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
      },
    });
    const [token, isKept] = stdout.trim().split(' ');
    expect(isKept).toBe('true');
    await jwtVerify(token!, google.publicKey, { audience: AUDIENCE });
    expect(decodeJwt(token!).aud).toBe(AUDIENCE);
    const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
    expect(asked).toEqual([['/token', 'oauth2.googleapis.com', grant, 'postern@project.example']]);
    expect(proxied).toEqual(['oauth2.googleapis.com:443']);
  } finally {
    for (const one of [server, proxy]) {
      one.closeAllConnections();
      one.close();
    }
    await rm(folder, { recursive: true });
  }
});
