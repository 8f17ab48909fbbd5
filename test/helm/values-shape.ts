import { publishedShape } from '../config/published-shape.ts';

type Schema = Record<string, unknown>;

const text = { type: 'string' };
const flag = { type: 'boolean' };
const texts = { type: 'array', items: text };
const nonEmpty = { type: 'array', items: { type: 'string', minLength: 1 } };
/** Passed on to Kubernetes, which knows what is right. */
const anyObject = { type: 'object' };
const anyObjects = { type: 'array', items: anyObject };
const labels = { type: 'object', additionalProperties: text };
const id = { type: ['integer', 'null'], minimum: 1 };

const whole = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum });
const section = (properties: Schema): Schema => ({ type: 'object', properties, additionalProperties: false });

const autoscaling = (least: number, more: Schema = {}) =>
  section({
    enabled: flag,
    minReplicas: whole(least, 1000),
    maxReplicas: whole(1, 1000),
    cpu: whole(1, 1000),
    ...more,
  });

/** What a gateway and a dispatcher have in common. */
const workload = {
  replicas: whole(0, 1000),
  resources: section({ requests: anyObject, limits: anyObject, claims: anyObjects }),
  disruptionBudget: flag,
  topologySpread: { enum: ['', 'ScheduleAnyway', 'DoNotSchedule'] },
  podLabels: labels,
  podAnnotations: labels,
  nodeSelector: labels,
  affinity: anyObject,
  tolerations: anyObjects,
  priorityClassName: text,
};

/** The schema of the chart's values: what is not in values.yaml is refused, and so is what is wrong in `config`. */
export function valuesShape(): Schema {
  const { config, $defs } = configPart();
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart postern',
    ...section({
      global: anyObject,
      image: section({
        repository: { type: 'string', minLength: 1 },
        tag: text,
        digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
        pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
      }),
      imagePullSecrets: anyObjects,
      nameOverride: text,
      fullnameOverride: text,
      config,
      existingConfig: text,
      adminToken: section({ existingSecret: text, key: { type: 'string', minLength: 1 } }),
      schemas: { type: 'object', additionalProperties: { type: ['object', 'boolean', 'string'] } },
      existingSchemas: text,
      env: anyObjects,
      envFrom: anyObjects,
      secretFiles: nonEmpty,
      shutdown: section({ preStop: whole(0, 300), grace: whole(1, 3600) }),
      gateway: section({
        ...workload,
        autoscaling: autoscaling(1),
        volume: section({
          enabled: flag,
          size: { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)?([KMGTPE]i?|k)?$' },
          storageClass: text,
        }),
      }),
      dispatcher: section({
        enabled: flag,
        ...workload,
        autoscaling: autoscaling(0, {
          lag: section({
            enabled: flag,
            threshold: whole(1, 1_000_000_000),
            bootstrapServers: text,
            authenticationRef: text,
            triggers: anyObjects,
          }),
        }),
      }),
      service: section({
        type: { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
        port: whole(1, 65_535),
        annotations: labels,
      }),
      ingress: section({
        enabled: flag,
        className: text,
        annotations: labels,
        hosts: nonEmpty,
        tls: anyObjects,
      }),
      httpRoute: section({ enabled: flag, parentRefs: anyObjects, hostnames: texts, annotations: labels }),
      networkPolicy: section({
        enabled: flag,
        from: anyObjects,
        metricsFrom: anyObjects,
        egress: anyObjects,
      }),
      serviceAccount: section({ create: flag, name: text, annotations: labels }),
      serviceMonitor: section({
        enabled: flag,
        interval: { type: 'string', pattern: '^[0-9]+(ms|s|m|h)$' },
        labels,
      }),
      prometheusRule: section({ enabled: flag, labels }),
      dashboards: section({ enabled: flag, labels, annotations: labels }),
      podSecurity: section({ runAsUser: id, runAsGroup: id, fsGroup: id }),
      test: section({
        events: {
          type: 'array',
          items: {
            ...section({
              path: { type: 'string', pattern: '^/' },
              headers: labels,
              body: { type: ['object', 'array', 'string'] },
              status: whole(200, 599),
            }),
            required: ['path', 'body', 'status'],
          },
        },
        env: anyObjects,
      }),
    }),
    $defs,
  };
}

/** The config's published schema without what the chart sets by itself. */
function configPart(): { config: Schema; $defs: unknown } {
  const { $schema: _, $defs, title, required: __, ...config } = structuredClone(publishedShape()) as Schema;
  for (const path of [
    ['gateway', 'listen'],
    ['admin', 'listen'],
    ['schemas'],
    ['grace'],
    ['log', 'embedded', 'path'],
    ['log', 'spool', 'path'],
    ['dedupe', 'embedded', 'path'],
  ]) {
    let node = config;
    for (const name of path.slice(0, -1)) node = (node.properties as Schema)[name] as Schema;
    const properties = node.properties as Schema;
    const last = path.at(-1)!;
    if (!(last in properties)) throw new Error(`the config has no ${path.join('.')} any more`);
    delete properties[last];
  }
  return { config, $defs };
}
