import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { freePort } from '../services/free-port.ts';
import { makeProject, startPostern } from './postern.ts';

const root = join(import.meta.dirname, '..', '..');

/** The first block of shell lines of a section. */
async function shellOf(section: string): Promise<string[]> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const text = readme.split(`\n## ${section}\n`)[1]!.split('\n## ')[0]!;
  return /```sh\n([^`]*)```/.exec(text)![1]!.trim().split('\n');
}

it('the orders of the README go as it says, with the sample config', async () => {
  const functionPort = await freePort();
  const project = await makeProject({ yaml: '' });
  const sample = (await readFile(join(root, 'postern.yaml'), 'utf8'))
    .replaceAll('127.0.0.1:8082', `127.0.0.1:${functionPort}`)
    .replaceAll(/listen: \S+:8081/g, `listen: 127.0.0.1:${project.adminPort}`)
    .replaceAll('.postern', join(project.folder, 'data'))
    .replaceAll('./schemas', join(root, 'schemas'));
  await writeFile(project.config, `${sample}\ngateway: { listen: 127.0.0.1:${project.port} }\n`);
  const postern = await startPostern(project, { command: ['dev'] });
  let commands = 0;
  let printed = 0;
  for (const line of await shellOf('Workflows')) {
    if (line.startsWith('curl ')) {
      const command = line
        .replace('localhost:8080', `127.0.0.1:${project.port}`)
        .replace('localhost:8081', `127.0.0.1:${project.adminPort}`);
      const run = () => promisify(execFile)('bash', ['-c', `${command} -s -f`]);
      if (line.includes('/workflows/')) {
        await expect
          .poll(async () => (await run().catch(() => ({ stdout: '' }))).stdout)
          .toContain('"waiting"');
      } else expect(JSON.parse((await run()).stdout)).toMatchObject({ accepted: 1 });
      commands++;
    } else if (line.startsWith('# sample function got ')) {
      await expect.poll(() => postern.output()).toContain(line.slice('# '.length));
      printed++;
    }
  }
  expect([commands, printed]).toEqual([6, 7]);
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  await project.remove();
});
