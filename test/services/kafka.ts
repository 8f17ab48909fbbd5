import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

const VERSION = '4.3.1';
const run = promisify(execFile);

/** A running broker. `pid` changes with `restart`, the address does not. */
export interface Kafka {
  readonly brokers: string;
  readonly pid: number;
  /** Ends the broker and removes its data. */
  stop(): Promise<void>;
  /** Sends a signal, e.g. SIGKILL (crash) or SIGSTOP and SIGCONT (a broker that hangs). */
  kill(signal: NodeJS.Signals): void;
  /** Ends the broker if it still runs, and starts it again on the same ports and data. */
  restart(): Promise<void>;
}

export interface KafkaOptions {
  port?: number;
  controllerPort?: number;
  /** Of a cluster that it is part of. */
  clusterId?: string;
  /** Broker settings, over the usual ones. */
  config?: Record<string, string>;
}

/** Starts a cluster whose topics have a replica on each broker, two of which must have a record before it is acknowledged. */
export async function startKafkaCluster(count: number): Promise<Kafka[]> {
  const id = clusterId();
  const nodes = await Promise.all(
    Array.from({ length: count }, async (_, i) => ({
      id: i + 1,
      port: await freePort(),
      controllerPort: await freePort(),
    })),
  );
  const replicas = {
    'default.replication.factor': String(count),
    'offsets.topic.replication.factor': String(count),
  };
  const voters = nodes.map((node) => `${node.id}@127.0.0.1:${node.controllerPort}`).join(',');
  return Promise.all(
    nodes.map(({ id: node, port, controllerPort }) =>
      startKafka({
        port,
        controllerPort,
        clusterId: id,
        config: {
          ...replicas,
          'node.id': String(node),
          'controller.quorum.voters': voters,
          'min.insync.replicas': '2',
        },
      }),
    ),
  );
}

/** Starts a single-node Apache Kafka (KRaft) on a free port of the loopback, with an empty log. Rejects with the broker's output if it does not come up. */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const jars = await fetchJars();
  const port = options.port ?? (await freePort());
  const controllerPort = options.controllerPort ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), 'postern-kafka-'));
  const properties = join(folder, 'server.properties');
  const settings = { ...defaults(folder, port, controllerPort), ...options.config };
  await writeFile(
    properties,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const java = [
    '-Xmx512m',
    '-XX:+UseSerialGC',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-cp',
    `${jars}/*`,
  ];
  await run('java', [
    ...java,
    'kafka.tools.StorageTool',
    'format',
    '-t',
    options.clusterId ?? clusterId(),
    '-c',
    properties,
  ]);

  const output = join(folder, 'output.log');
  let child: ChildProcess;
  const start = async () => {
    const file = openSync(output, 'a');
    child = spawn('java', [...java, 'kafka.Kafka', properties], { stdio: ['ignore', file, file] });
    closeSync(file);
    await ready(child, port, output);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    // A stopped process takes no signal before it goes on.
    child.kill('SIGCONT');
    const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await exited;
    clearTimeout(late);
  };
  // A broker must not outlive a test run that was cut short.
  const orphan = () => child.kill('SIGKILL');
  process.on('exit', orphan);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    await end(signal);
    process.off('exit', orphan);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    await start();
  } catch (error) {
    await stop('SIGKILL');
    throw error;
  }
  return {
    brokers: `127.0.0.1:${port}`,
    get pid() {
      return child.pid!;
    },
    stop: () => stop(),
    kill: (signal) => {
      child.kill(signal);
    },
    restart: async () => {
      await end('SIGTERM');
      await start();
    },
  };
}

function defaults(folder: string, port: number, controllerPort: number): Record<string, string> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(folder, 'log'),
    'auto.create.topics.enable': 'false',
    'num.partitions': '4',
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // A broker that was killed may register again only when its old session is over.
    'broker.session.timeout.ms': '4000',
    'broker.heartbeat.interval.ms': '500',
    'log.segment.bytes': String(128 * 1024 * 1024),
    'log.cleaner.dedupe.buffer.size': String(16 * 1024 * 1024),
  };
}

/** Kafka's own form of a UUID: 16 bytes in base64url. One that began with `-` would be taken for an option. */
function clusterId(): string {
  const bytes = Buffer.from(crypto.randomUUID().replaceAll('-', ''), 'hex');
  bytes[0]! &= 0x7f;
  return bytes.toString('base64url');
}

/** The folder of Kafka's jars; fetched by Maven when it is not there yet. */
export async function fetchJars(): Promise<string> {
  const cache = join(import.meta.dirname, '../../.cache/kafka');
  const folder = join(cache, VERSION);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetch-'));
  await writeFile(join(work, 'pom.xml'), pom());
  await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${work}/jars`], {
    cwd: work,
  });
  // Renamed only when whole, so that a fetch cut short is not taken for a whole one.
  await rename(join(work, 'jars'), folder).catch((error) => {
    if (!existsSync(folder)) throw error;
  });
  await rm(work, { recursive: true });
  return folder;
}

function pom(): string {
  const dependency = (group: string, artifact: string, version: string) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>postern</groupId><artifactId>test-services</artifactId><version>1</version><packaging>pom</packaging><dependencies>
${dependency('org.apache.kafka', 'kafka_2.13', VERSION)}
${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
</dependencies></project>`;
}

/** Waits until the broker answers a metadata request that names a broker. */
async function ready(child: ChildProcess, port: number, output: string): Promise<void> {
  const isReady = () => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('Kafka ended');
    return answers(port);
  };
  await until('Kafka answers', isReady, { ms: 120_000 }).catch(async (cause) => {
    throw new Error(`Kafka did not start:\n${(await readFile(output, 'utf8')).slice(-4000)}`, { cause });
  });
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  let reply = Buffer.alloc(0);
  // Metadata request, version 4: header (key 3, version, correlation, no client id), no topics, no auto-creation.
  socket.on('connect', () =>
    socket.write(Buffer.from('0000000f00030004000000010000' + '00000000' + '00', 'hex')),
  );
  socket.on('data', (chunk) => {
    reply = Buffer.concat([reply, chunk]);
    // Size, correlation and throttle time come before the array of brokers.
    if (reply.length < 16) return;
    resolve(reply.readInt32BE(12) > 0);
    socket.destroy();
  });
  socket.setTimeout(2_000, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('close', () => resolve(false));
  return promise;
}
