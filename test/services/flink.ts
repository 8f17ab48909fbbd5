import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.ts';

const FLINK = '2.2.0';
const CONNECTOR = '5.0.0-2.2';

/** Statements of SQL that run in a Flink of their own. */
export interface FlinkJob {
  output(): string;
  stop(): Promise<void>;
}

/** Runs SQL statements, each ended by a semicolon and a line break; resolves when the last one runs. Rejects with Flink's output. */
export async function startFlink(sql: string): Promise<FlinkJob> {
  const cache = join(import.meta.dirname, '../../.cache/flink');
  const jars = await fetchFlink(cache);
  const folder = await mkdtemp(join(cache, 'run-'));
  const file = join(folder, 'job.sql');
  await writeFile(file, sql);
  const program = join(import.meta.dirname, 'flink', 'RunSql.java');
  const child: ChildProcess = spawn(
    'java',
    ['-Xmx512m', '--add-opens=java.base/java.util=ALL-UNNAMED', '-cp', `${jars}/*`, program, file],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  let output = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (bytes: Buffer) => (output = (output + bytes).slice(-20_000)));
  const isRunning = () => {
    if (child.exitCode !== null) throw new Error(`Flink ended with ${child.exitCode}:\n${output}`);
    return /^running$/m.test(output);
  };
  await until('Flink runs the statements', isRunning, { ms: 180_000 });
  return {
    output: () => output,
    async stop() {
      process.off('exit', end);
      child.removeAllListeners('exit');
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await rm(folder, { recursive: true });
    },
  };
}

/** The folder of Flink's jars; fetched by Maven when it is not there yet. */
async function fetchFlink(cache: string): Promise<string> {
  const folder = join(cache, FLINK);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetch-'));
  await writeFile(join(work, 'pom.xml'), pom());
  await promisify(execFile)(
    'mvn',
    ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${work}/jars`],
    { cwd: work },
  );
  // Renamed only when whole, so that a fetch cut short is not taken for a whole one.
  await rename(join(work, 'jars'), folder).catch((error) => {
    if (!existsSync(folder)) throw error;
  });
  await rm(work, { recursive: true });
  return folder;
}

function pom(): string {
  const dependency = (artifact: string, version = FLINK, group = 'org.apache.flink') =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  const artifacts = [
    'flink-table-planner_2.12',
    'flink-clients',
    'flink-table-runtime',
    'flink-json',
    'flink-connector-base',
  ];
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>postern</groupId><artifactId>test-flink</artifactId><version>1</version><packaging>pom</packaging><dependencies>
${artifacts.map((name) => dependency(name)).join('\n')}
${dependency('flink-sql-connector-kafka', CONNECTOR)}
${dependency('slf4j-simple', '1.7.36', 'org.slf4j')}
</dependencies></project>`;
}
