import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const POSTERN = 'docker.io/library/postern:0.1.0';
export const SERVICES = 'localhost/postern-test-services:1';

const podSecurity = {
  runAsNonRoot: true,
  runAsUser: 1000,
  runAsGroup: 1000,
  fsGroup: 1000,
  seccompProfile: { type: 'RuntimeDefault' },
};
const security = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

const KAFKA = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093
advertised.listeners=PLAINTEXT://kafka:9092
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=/tmp/log
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
`;
const JAVA = 'java -Xmx384m -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "/kafka/*"';
// The shell stays process 1, so that the broker can be stopped and continued as if it hung.
const START_KAFKA = `set -e
${JAVA} kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c /scripts/kafka.properties
${JAVA} kafka.Kafka /scripts/kafka.properties & echo $! > /tmp/pid; wait`;

interface Container {
  image: string;
  command: string[];
  port: number;
  env?: Record<string, string>;
  /** Answers when it is ready. */
  ready: object;
}

function container({ image, command, port, env = {}, ready }: Container): object {
  return {
    securityContext: podSecurity,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'main',
        image,
        imagePullPolicy: 'IfNotPresent',
        command,
        env: Object.entries(env).map(([name, value]) => ({ name, value })),
        ports: [{ containerPort: port }],
        readinessProbe: { ...ready, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 5 },
        resources: { requests: { cpu: '50m', memory: '64Mi' } },
        securityContext: security,
        volumeMounts: [
          { name: 'tmp', mountPath: '/tmp' },
          { name: 'scripts', mountPath: '/scripts' },
        ],
      },
    ],
    volumes: [
      { name: 'tmp', emptyDir: {} },
      { name: 'scripts', configMap: { name: 'scripts' } },
    ],
  };
}

function service(name: string, one: Container): object[] {
  const labels = { app: name };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: {
        selector: { matchLabels: labels },
        strategy: { type: 'Recreate' },
        template: { metadata: { labels }, spec: container(one) },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: labels, ports: [{ port: one.port }], publishNotReadyAddresses: true },
    },
  ];
}

/** Kafka, Redis and a function, each behind a Service of its name. */
export function services(): object {
  const script = (name: string) => readFileSync(join(import.meta.dirname, 'in-cluster', name), 'utf8');
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'scripts' },
        data: {
          'kafka.properties': KAFKA,
          'function.ts': script('function.ts'),
          'load.ts': script('load.ts'),
          'ledger.ts': script('ledger.ts'),
        },
      },
      ...service('kafka', {
        image: SERVICES,
        command: ['/bin/sh', '-c', START_KAFKA],
        port: 9092,
        ready: { tcpSocket: { port: 9092 } },
      }),
      ...service('redis', {
        image: SERVICES,
        command: [
          'redis-server',
          '--save',
          '',
          '--appendonly',
          'no',
          '--bind',
          '0.0.0.0',
          '--protected-mode',
          'no',
        ],
        port: 6379,
        ready: { tcpSocket: { port: 6379 } },
      }),
      ...service('function', {
        image: POSTERN,
        command: ['node', '/scripts/function.ts'],
        port: 8080,
        ready: { httpGet: { path: '/', port: 8080 } },
      }),
    ],
  };
}

/** The pod that sends events to `url`. */
export function load(name: string, url: string, rate: number): object {
  const env = { URL: url, BROKERS: 'kafka:9092', FUNCTION: 'http://function:8080/', RATE: String(rate) };
  const spec = container({
    image: POSTERN,
    command: ['node', '/scripts/load.ts'],
    port: 9000,
    env,
    ready: { exec: { command: ['node', '--version'] } },
  });
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { ...spec, restartPolicy: 'Never' } };
}

/** A volume of the node, for clusters that make none on demand. */
export function volume(name: string, path: string, claim: string, namespace: string): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path },
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: { namespace, name: claim },
    },
  };
}

const small = { resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } } };

/** Values of an installation on the services above. */
export function fullValues(more: { log?: object; gateway?: object } = {}): Record<string, unknown> {
  return {
    config: {
      log: { kafka: { brokers: ['kafka:9092'], create: { partitions: 4, replication: 1 } }, ...more.log },
      dedupe: { redis: { url: '${REDIS_URL}' } },
      sources: { load: { topic: 'load', id: ['/id'], schema: 'load', keys: ['${LOAD_KEY}'] } },
      subscriptions: {
        all: { topics: ['load'], concurrency: 64, function: { http: { url: 'http://function:8080/' } } },
      },
    },
    schemas: { load: { type: 'object', required: ['id', 'at'], properties: { at: { type: 'integer' } } } },
    env: [{ name: 'REDIS_URL', value: 'redis://redis:6379' }],
    envFrom: [{ secretRef: { name: 'postern-keys' } }],
    gateway: { ...small, ...more.gateway },
    dispatcher: small,
    test: {
      env: [{ name: 'LOAD_KEY', valueFrom: { secretKeyRef: { name: 'postern-keys', key: 'LOAD_KEY' } } }],
      events: [
        { path: '/events/load?key=test-key', body: { id: '$UNIQUE', at: 1 }, status: 202 },
        { path: '/events/load?key=test-key', body: { id: '$UNIQUE' }, status: 422 },
        { path: '/events/load?key=wrong', body: { id: '$UNIQUE', at: 1 }, status: 401 },
      ],
    },
  };
}
