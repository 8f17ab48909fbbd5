import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { buildGo } from './go.ts';
import { until } from './until.ts';

/** A record, which says what the function does; without `do`: nothing. */
export interface Did {
  do?: 'fail' | 'fail once' | 'error' | 'exit' | 'hang' | 'long' | 'reply';
  /** The answer, of `reply`. */
  with?: object;
  pad?: string;
  id?: string;
}

/** A record as the function saw it. */
export interface Seen {
  eventSource: string;
  bootstrapServers: string;
  topic: string;
  partition: number;
  offset: number;
  timestamp: number;
  timestampType: string;
  key?: string;
  /** But for `pad`. */
  value: Did;
  headers: Record<string, string>[];
  /** Length of `pad`. */
  bytes: number;
}

/** A Lambda function behind AWS's Runtime Interface Emulator, which takes one call at a time. */
export interface LambdaEmulator {
  /** For the AWS SDK; the function's name is `function`. */
  readonly endpoint: string;
  /** The records so far, in the order in which they came. */
  seen(): Promise<Seen[]>;
  /** Output of the emulator and the function. */
  output(): string;
  stop(): Promise<void>;
}

/** Seconds for a call; the start of the function is part of its first one, on a busy machine too. */
const TIMEOUT = { go: 2, node: 6 };

/**
 * Starts the emulator with a function in Go, which AWS's library for Go runs, or in Node; both do the same. Its
 * calls end after some seconds. The first call of a machine builds them with Go.
 */
export async function startLambda(language: 'go' | 'node'): Promise<LambdaEmulator> {
  const emulator = await buildGo('aws-lambda-rie', {
    package: 'github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie',
  });
  const command =
    language === 'go'
      ? [await buildGo('lambda-function')]
      : [process.execPath, join(import.meta.dirname, 'lambda-function.ts')];
  const folder = await mkdtemp(join(tmpdir(), 'postern-lambda-'));
  const file = join(folder, 'seen');
  await writeFile(file, '');
  const [port, apiPort] = [await freePort(), await freePort()];
  const addresses = [
    ...['--runtime-interface-emulator-address', `127.0.0.1:${port}`],
    ...['--runtime-api-address', `127.0.0.1:${apiPort}`],
  ];
  const child = spawn(emulator, [...addresses, ...command], {
    env: { ...process.env, AWS_LAMBDA_FUNCTION_TIMEOUT: `${TIMEOUT[language]}`, SEEN: file },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = () => child.kill('SIGKILL');
  process.on('exit', end);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  const endpoint = `http://127.0.0.1:${port}`;
  await until('the emulator of Lambda answers', async () => {
    if (child.exitCode !== null) throw new Error(`the emulator ended with ${child.exitCode}:\n${output}`);
    return (await fetch(endpoint).catch(() => null)) !== null;
  });
  return {
    endpoint,
    seen: async () =>
      (await readFile(file, 'utf8'))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Seen),
    output: () => output,
    async stop() {
      process.off('exit', end);
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit');
        end();
        await exited;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
