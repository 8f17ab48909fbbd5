import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../src/config/read.ts';
import { FULL, type Manifest, render, the } from './chart.ts';

const KEDA = { apis: ['keda.sh/v1alpha1'] };
const WORKLOAD = /^(Deployment|StatefulSet)$/;
/** Where pods have the token of the admin port. */
const MOUNT = { name: 'admin-token', mountPath: '/etc/postern/admin' };

/** Templates of all pods. */
function podsOf(objects: Manifest[]): Manifest[] {
  return objects.flatMap((one) =>
    WORKLOAD.test(one.kind) ? [one.spec.template] : one.kind === 'Pod' ? [one] : [],
  );
}

/** The config that the pods get, as the program reads it; its problems too. */
function configOf(objects: Manifest[], env: Record<string, string> = {}) {
  const text = the(objects, 'Secret', 'postern-config').stringData['postern.yaml'];
  const readFile = (path: string) => {
    const { mountPath, name } = MOUNT;
    for (const { spec } of podsOf(objects).filter(({ kind }) => kind !== 'Pod')) {
      expect(spec.containers[0].volumeMounts).toContainEqual({ name, mountPath, readOnly: true });
      expect(spec.volumes).toContainEqual({
        name,
        secret: { secretName: 'postern-admin', items: [{ key: 'token', path: 'token' }] },
      });
    }
    if (path !== `${mountPath}/token`) throw new Error(`no pod has ${path}`);
    return atob(the(objects, 'Secret', 'postern-admin').data.token);
  };
  return readConfig(text, env, { file: 'postern.yaml', readFile });
}

test('without values: one pod on the embedded log, with a config that the program takes', async () => {
  const objects = await render({});
  const { config, problems } = configOf(objects);
  expect(problems).toEqual([]);
  expect(config).toMatchObject({
    gateway: { listen: { host: '0.0.0.0', port: 8080 } },
    admin: { listen: { host: '0.0.0.0', port: 8081 } },
    log: { store: { embedded: { path: '/var/lib/postern' } } },
    schemas: '/etc/postern/schemas',
    grace: 30_000,
  });
  const workloads = objects.filter(({ kind }) => WORKLOAD.test(kind));
  expect(workloads).toHaveLength(1);
  expect(workloads[0]!.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
});

test('with Kafka and Redis: gateways and dispatchers, whose config has the secret by name only', async () => {
  const objects = await render(FULL);
  const { config, problems } = configOf(objects, { REDIS_URL: 'redis://redis:6379' });
  expect(problems).toEqual([]);
  expect(config?.log.store).toMatchObject({ kafka: { brokers: ['kafka:9092'] } });
  const role = (name: string) => the(objects, 'Deployment', name).spec.template.spec.containers[0].args;
  expect(role('postern-gateway').join(' ')).toMatch(/^serve .* --role gateway$/);
  expect(role('postern-dispatcher').join(' ')).toMatch(/^serve .* --role dispatcher$/);
  expect(the(objects, 'Deployment', 'postern-dispatcher').spec.template.spec.containers[0].env).toEqual(
    FULL.env,
  );
});

test('a spool makes a StatefulSet whose volumes stay', async () => {
  const values = { ...FULL, config: { ...FULL.config, log: { ...FULL.config.log, spool: { max: '1GiB' } } } };
  const objects = await render(values);
  expect(configOf(objects, { REDIS_URL: 'redis://r' }).config?.log.spool).toMatchObject({
    path: '/var/lib/postern',
    max: 2 ** 30,
  });
  const { spec } = the(objects, 'StatefulSet');
  expect(spec.persistentVolumeClaimRetentionPolicy).toEqual({ whenDeleted: 'Retain', whenScaled: 'Retain' });
  expect(spec.volumeClaimTemplates[0].metadata.name).toBe('data');
  expect(spec.template.spec.containers[0].volumeMounts).toContainEqual({
    name: 'data',
    mountPath: '/var/lib/postern',
  });
  expect(the(objects, 'Service', spec.serviceName).spec.clusterIP).toBe('None');
});

test.each([
  ['trial', {}],
  ['full', FULL],
  ['spool', { ...FULL, gateway: { volume: { enabled: true } } }],
])('all pods fit into a namespace with restricted pod security: %s', async (_name, values) => {
  const pods = podsOf(await render(values));
  expect(pods.length).toBeGreaterThan(1);
  for (const { spec } of pods) {
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(spec.automountServiceAccountToken).toBe(false);
    for (const { securityContext } of spec.containers) {
      expect(securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  }
});

test('C67 only a process that hangs is restarted, readiness is its own, a start may be slow', async () => {
  for (const { spec } of podsOf(await render(FULL)).filter(({ kind }) => kind !== 'Pod')) {
    const { livenessProbe, readinessProbe, startupProbe } = spec.containers[0];
    expect(livenessProbe.httpGet).toEqual({ path: '/livez', port: 'admin' });
    expect(readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'admin' });
    expect(startupProbe.httpGet).toEqual({ path: '/livez', port: 'admin' });
    expect(startupProbe.periodSeconds * startupProbe.failureThreshold).toBeGreaterThanOrEqual(60);
    expect(livenessProbe.periodSeconds * livenessProbe.failureThreshold).toBeGreaterThanOrEqual(60);
  }
});

test.each([
  [0, 1],
  [5, 30],
  [20, 600],
])('C68 the kill comes after %i s of sleep and %i s of grace', async (preStop, grace) => {
  const objects = await render({ ...FULL, shutdown: { preStop, grace } });
  expect(configOf(objects, { REDIS_URL: 'redis://r' }).config?.grace).toBe(grace * 1000);
  const pod = (name: string) => the(objects, 'Deployment', name).spec.template.spec;
  const [gateway, dispatcher] = [pod('postern-gateway'), pod('postern-dispatcher')];
  expect(gateway.terminationGracePeriodSeconds).toBe(preStop + grace + 5);
  expect(gateway.containers[0].lifecycle?.preStop.sleep.seconds ?? 0).toBe(preStop);
  expect(dispatcher.terminationGracePeriodSeconds).toBe(grace + 5);
  expect(dispatcher.containers[0].lifecycle).toBeUndefined();
});

test('another config or schema makes other pods, and nothing else does', async () => {
  const marks = async (values: object) =>
    (await render(values))
      .filter(({ kind }) => WORKLOAD.test(kind))
      .map(({ spec }) => JSON.stringify(spec.template.metadata.annotations));
  const before = await marks(FULL);
  expect(await marks({ ...FULL, service: { port: 8000 } })).toEqual(before);
  const config = await marks({ ...FULL, config: { ...FULL.config, logLevel: 'debug' } });
  const schemas = await marks({ ...FULL, schemas: { ...FULL.schemas, 'page-view': { type: 'array' } } });
  for (const [index, mark] of before.entries()) {
    expect(config[index]).not.toBe(mark);
    expect(schemas[index]).not.toBe(mark);
  }
});

test('schemas of names with slashes get back their folders', async () => {
  const objects = await render(FULL);
  const { data } = the(objects, 'ConfigMap', 'postern-schemas');
  expect(JSON.parse(data['page-view.json'])).toEqual({ type: 'object' });
  expect(JSON.parse(data['v2__page-view.json'])).toEqual({ type: 'object' });
  const { volumes } = the(objects, 'Deployment', 'postern-gateway').spec.template.spec;
  expect(volumes.find(({ name }: { name: string }) => name === 'schemas').configMap.items).toEqual([
    { key: 'page-view.json', path: 'page-view.json' },
    { key: 'v2__page-view.json', path: 'v2/page-view.json' },
  ]);
});

test('the admin port is in no Service but the headless one, and closed to all but who is named', async () => {
  const metricsFrom = [
    { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
  ];
  const objects = await render({ networkPolicy: { metricsFrom } });
  expect(the(objects, 'Service', 'postern').spec.ports.map(({ name }: { name: string }) => name)).toEqual([
    'http',
  ]);
  expect(the(objects, 'Service', 'postern-admin').spec.clusterIP).toBe('None');
  expect(the(objects, 'NetworkPolicy').spec.ingress).toEqual([
    { ports: [{ port: 'http', protocol: 'TCP' }] },
    { ports: [{ port: 'admin', protocol: 'TCP' }], from: metricsFrom },
  ]);
  for (const values of [{}, FULL]) {
    const closed = the(await render(values), 'NetworkPolicy').spec;
    expect(closed.policyTypes).toEqual(['Ingress']);
    expect(closed.ingress).toEqual([{ ports: [{ port: 'http', protocol: 'TCP' }] }]);
    expect(closed.podSelector.matchExpressions).toEqual([
      { key: 'app.kubernetes.io/component', operator: 'In', values: ['gateway', 'dispatcher'] },
    ]);
  }
  const off = await render({ networkPolicy: { enabled: false } });
  expect(off.filter(({ kind }) => kind === 'NetworkPolicy')).toEqual([]);
});

test('the admin port wants a token that is made at random, besides those of the config', async () => {
  const tokenOf = async (values: object) => {
    const { config, problems } = configOf(await render(values), { REDIS_URL: 'redis://r' });
    expect(problems).toEqual([]);
    return config!.admin;
  };
  for (const values of [{}, FULL]) {
    const [one, other] = [await tokenOf(values), await tokenOf(values)];
    expect(one).toMatchObject({ listen: { host: '0.0.0.0', port: 8081 }, tokens: { read: [] } });
    expect(one.tokens.operate).toEqual([expect.stringMatching(/^[A-Za-z0-9]{40}$/)]);
    expect(other.tokens.operate).not.toEqual(one.tokens.operate);
    expect(one.hosts).toEqual(['postern-admin', 'postern-admin.default', 'postern-admin.default.svc']);
  }
  const admin = {
    hosts: ['admin.shop.example'],
    tokens: { read: ['look-0123456789'], operate: ['do-0123456789'] },
  };
  const own = await tokenOf({ ...FULL, config: { ...FULL.config, admin } });
  expect(own.hosts).toContain('admin.shop.example');
  expect(own.tokens).toEqual({
    read: ['look-0123456789'],
    operate: [expect.stringMatching(/^[A-Za-z0-9]{40}$/), 'do-0123456789'],
  });
});

test('a Secret of your own has the token in the place of the one that is made', async () => {
  const adminToken = { existingSecret: 'mine', key: 'postern' };
  for (const values of [{}, FULL, { existingConfig: 'all-mine' }]) {
    const objects = await render({ ...values, adminToken });
    expect(
      objects.filter(({ kind, metadata }) => kind === 'Secret' && metadata.name === 'postern-admin'),
    ).toEqual([]);
    for (const { spec } of podsOf(objects).filter(({ kind }) => kind !== 'Pod')) {
      expect(spec.volumes).toContainEqual({
        name: MOUNT.name,
        secret: { secretName: 'mine', items: [{ key: 'postern', path: 'token' }] },
      });
    }
  }
});

test('another token makes no other pods: where nothing is known of the cluster it is another each time', async () => {
  const marks = async () =>
    (await render(FULL))
      .filter(({ kind }) => WORKLOAD.test(kind))
      .map(({ spec }) => JSON.stringify(spec.template.metadata.annotations));
  expect(await marks()).toEqual(await marks());
});

test('a config of your own is a Secret or a ConfigMap, and finds the token where the chart puts it', async () => {
  const objects = await render({ existingConfig: 'all-mine' });
  expect(objects.filter(({ metadata }) => metadata.name === 'postern-config')).toEqual([]);
  the(objects, 'Secret', 'postern-admin');
  for (const name of ['postern-gateway', 'postern-dispatcher']) {
    const { spec } = the(objects, 'Deployment', name).spec.template;
    expect(spec.volumes).toContainEqual({
      name: 'config',
      projected: {
        sources: [
          { secret: { name: 'all-mine', optional: true } },
          { configMap: { name: 'all-mine', optional: true } },
        ],
      },
    });
    expect(spec.containers[0].volumeMounts).toContainEqual({ ...MOUNT, readOnly: true });
  }
});

test('what is secret in the config is in one Secret, and nowhere else', async () => {
  let made = 0;
  const secret = () => `s3cret-${++made}-0123456789abcdef`;
  const http = (auth: object) => ({
    url: 'http://fn/',
    headers: { 'x-api-key': secret() },
    auth,
    sign: [`whsec_${btoa(secret())}`],
    tls: { ca: secret(), cert: secret(), key: secret() },
  });
  const subscription = (auth: object) => ({ topics: ['clickstream'], function: { http: http(auth) } });
  const config = {
    ...FULL.config,
    admin: { tokens: { read: [secret()], operate: [secret()] } },
    log: {
      kafka: {
        brokers: ['kafka:9092'],
        tls: { ca: secret(), cert: secret(), key: secret() },
        sasl: { mechanism: 'plain', username: 'u', password: secret() },
      },
    },
    dedupe: { redis: { url: `rediss://:${secret()}@redis:6380` } },
    sources: {
      web: {
        topic: 'clickstream',
        schema: 'page-view',
        keys: [secret(), { id: 'one', key: secret() }],
        jwt: { jwks: `{"keys":[{"kid":"${secret()}"}]}` },
      },
      hooks: { protocol: 'webhook', topic: 'hooks', verify: { scheme: 'github', secrets: [secret()] } },
    },
    subscriptions: {
      bearer: subscription({ bearer: secret() }),
      basic: subscription({ basic: { user: 'u', password: secret() } }),
      azure: subscription({ azureKey: secret() }),
    },
    workflows: {
      order: {
        on: { topics: ['clickstream'] },
        steps: [{ name: 'a', function: { http: http({ bearer: secret() }) } }],
      },
    },
  };
  const around = {
    dashboards: { enabled: true },
    prometheusRule: { enabled: true },
    networkPolicy: { metricsFrom: [{ namespaceSelector: {} }] },
    serviceMonitor: { enabled: true },
    dispatcher: { autoscaling: { enabled: true } },
    gateway: { autoscaling: { enabled: true } },
  };
  const others = [
    {
      cluster: { nodes: ['a:1'], username: 'u', password: secret(), tls: { key: secret(), cert: secret() } },
    },
    {
      sentinel: { nodes: ['a:1'], name: 'm', username: 'u', password: secret(), sentinelPassword: secret() },
    },
  ].map((more) => ({ ...config, dedupe: { redis: more } }));
  for (const one of [config, ...others]) {
    const objects = await render({ ...FULL, ...around, config: one }, KEDA);
    const wanted = [...JSON.stringify(one).matchAll(/s3cret-\d+-\w+|whsec_[^"]+/g)].map(([text]) => text);
    expect(wanted.length).toBeGreaterThan(25);
    for (const object of objects) {
      const text = JSON.stringify(object);
      const found = wanted.filter((secret) => text.includes(secret) || text.includes(btoa(secret)));
      const isConfig = object.kind === 'Secret' && object.metadata.name === 'postern-config';
      expect([object.kind, object.metadata.name, found]).toEqual([
        object.kind,
        object.metadata.name,
        isConfig ? wanted : [],
      ]);
    }
    expect(objects.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['ConfigMap', 'ScaledObject']));
  }
});

/** What a ScaledObject counts: group, topic, and where that begins. */
const lagsOf = ({ spec }: Manifest) =>
  spec.triggers.map(({ type, metadata }: Manifest) => [
    type,
    metadata.consumerGroup,
    metadata.topic,
    metadata.offsetResetPolicy,
  ]);

test('C70 lag is counted per group and topic, from where the subscription begins', async () => {
  const scaled = { ...FULL, dispatcher: { autoscaling: { enabled: true, minReplicas: 0 } } };
  const object = the(await render(scaled, KEDA), 'ScaledObject');
  const { spec } = object;
  // A window that nobody ends any more would wait for the next event.
  expect(spec.minReplicaCount).toBe(1);
  expect(lagsOf(object)).toEqual([
    ['kafka', 'postern.late', 'clickstream', 'latest'],
    ['kafka', 'postern.late', 'late.redrive', 'latest'],
    ['kafka', 'postern.stream.rate', 'clickstream', 'earliest'],
  ]);
  for (const { metadata } of spec.triggers) {
    expect(metadata).toMatchObject({ bootstrapServers: 'kafka:9092', scaleToZeroOnInvalidOffset: 'false' });
  }
  const plain = { ...scaled, config: { ...FULL.config, streams: {} } };
  expect(the(await render(plain, KEDA), 'ScaledObject').spec.minReplicaCount).toBe(0);
  // Lag is a number of messages there, so a HPA can start at one.
  expect(the(await render(scaled), 'HorizontalPodAutoscaler').spec.minReplicas).toBe(1);
});

test('C70 lag is counted in the groups that streams and workflows read with', async () => {
  const { rate } = FULL.config.streams;
  const call = { name: 'a', function: { http: { url: 'http://fn/' } } };
  const config = {
    ...FULL.config,
    subscriptions: {},
    streams: {
      keyed: { ...rate, key: '/user', from: 'latest' },
      two: { ...rate, topics: ['clickstream', 'more'], group: 'mine' },
    },
    workflows: {
      order: {
        on: { topics: ['clickstream', 'orders'] },
        steps: [
          call,
          { name: 'b', waitFor: { topics: ['orders', 'answers'], filter: 'event.id == workflow.id' } },
        ],
      },
    },
  };
  const scaled = { ...FULL, config, dispatcher: { autoscaling: { enabled: true } } };
  expect(lagsOf(the(await render(scaled, KEDA), 'ScaledObject'))).toEqual([
    ['kafka', 'postern.stream.keyed.repartition', 'clickstream', 'latest'],
    ['kafka', 'postern.stream.keyed', 'keyed.by-key', 'earliest'],
    ['kafka', 'mine.repartition', 'clickstream', 'earliest'],
    ['kafka', 'mine.repartition', 'more', 'earliest'],
    ['kafka', 'mine', 'two.by-key', 'earliest'],
    ['kafka', 'postern.workflow.order.in', 'clickstream', 'earliest'],
    ['kafka', 'postern.workflow.order.in', 'orders', 'earliest'],
    ['kafka', 'postern.workflow.order.in', 'answers', 'earliest'],
  ]);
});

test('the text of a schema and of the config is the same whatever its type', async () => {
  const big = { ...FULL, config: { ...FULL.config, gateway: { limits: { requests: 1_000_000 } } } };
  const text = the(await render(big), 'Secret', 'postern-config').stringData['postern.yaml'];
  expect(parse(text).gateway).toEqual({ listen: '0.0.0.0:8080', limits: { requests: 1_000_000 } });
});
