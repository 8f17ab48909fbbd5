import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { freePort } from '../services/free-port.ts';
import { counterOf } from './counters.ts';
import { makeProject, startPostern } from './postern.ts';

const root = join(import.meta.dirname, '..', '..');

it('the fraud of the README is told of as it says, with the sample config', async () => {
  const functionPort = await freePort();
  const project = await makeProject({ yaml: '' });
  const sample = (await readFile(join(root, 'postern.yaml'), 'utf8'))
    .replaceAll('127.0.0.1:8082', `127.0.0.1:${functionPort}`)
    .replaceAll(/listen: \S+:8081/g, `listen: 127.0.0.1:${project.adminPort}`)
    .replaceAll('.postern', join(project.folder, 'data'))
    .replaceAll('./schemas', join(root, 'schemas'));
  await writeFile(project.config, `${sample}\ngateway: { listen: 127.0.0.1:${project.port} }\n`);
  const postern = await startPostern(project, { command: ['dev'] });
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const shell = /## Streams\n[^`]*(?:`[^`\n]+`[^`]*)*```sh\n([^`]*)```/
    .exec(readme)![1]!
    .replaceAll('\\\n', '');
  const lines = shell.trim().split('\n');
  expect(lines.map((line) => line.slice(0, 6))).toEqual(['curl l', 'curl l', '# samp']);
  for (const line of lines.slice(0, 2)) {
    const command = line.replace('localhost:8080', `127.0.0.1:${project.port}`);
    const { stdout } = await promisify(execFile)('bash', ['-c', `${command} -s -f`]);
    expect(JSON.parse(stdout)).toMatchObject({ accepted: 1 });
  }
  await expect.poll(() => postern.output()).toContain(lines[2]!.slice('# '.length));
  expect(postern.output()).toMatch(/fraud\.suspected spend\/c-17\/\S+: \{.*"orders":2,"spent":1200\}/);
  expect(await counterOf(postern.admin, 'stream_emitted_total', 'stream="spend"')).toBe(1);
  expect(await counterOf(postern.admin, 'stream_open_windows', 'stream="spend"')).toBe(1);
  postern.kill('SIGTERM');
  expect(await postern.exited).toBe(0);
  await project.remove();
});
