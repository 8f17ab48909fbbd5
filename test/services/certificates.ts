import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const openssl = async (...args: string[]) => void (await promisify(execFile)('openssl', args));

/** PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

/** An authority of its own, made with openssl. */
export interface Authority {
  ca: string;
  /** A certificate for a server of these names (DNS:… or IP:…), or for a client. */
  issue(name: string, alternatives?: string[]): Promise<Certificate>;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export async function makeAuthority(): Promise<Authority> {
  const ca = await inFolder(async (path) => {
    await openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-days',
      '2',
      '-subj',
      '/CN=Authority of a test',
      '-keyout',
      path('key'),
      '-out',
      path('cert'),
    );
  });
  return {
    ca: ca.cert,
    issue: (name, alternatives = []) =>
      inFolder(async (path) => {
        await writeFile(path('ca-cert'), ca.cert);
        await writeFile(path('ca-key'), ca.key);
        const names = alternatives.length === 0 ? '' : `subjectAltName=${alternatives.join(',')}`;
        await writeFile(path('extensions'), `basicConstraints=CA:FALSE\n${names}\n`);
        await openssl(
          'req',
          ...NEW_KEY,
          '-subj',
          `/CN=${name}`,
          '-keyout',
          path('key'),
          '-out',
          path('request'),
        );
        await openssl(
          'x509',
          '-req',
          '-in',
          path('request'),
          '-CA',
          path('ca-cert'),
          '-CAkey',
          path('ca-key'),
          '-set_serial',
          String(Math.floor(Math.random() * 2 ** 40)),
          '-days',
          '2',
          '-extfile',
          path('extensions'),
          '-out',
          path('cert'),
        );
      }),
  };
}

async function inFolder(make: (path: (name: string) => string) => Promise<void>): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-certificates-'));
  const path = (name: string) => join(folder, name);
  try {
    await make(path);
    return { cert: await readFile(path('cert'), 'utf8'), key: await readFile(path('key'), 'utf8') };
  } finally {
    await rm(folder, { recursive: true });
  }
}
