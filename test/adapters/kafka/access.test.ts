import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { alterUserScramCredentialsV0, Connection } from '@platformatic/kafka';
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { KafkaConfig } from '../../../src/config/log/types.ts';
import type { TlsConfig } from '../../../src/config/values/tls.ts';
import type { EventLog } from '../../../src/ports/event-log.ts';
import { record } from '../../contracts/collector.ts';
import { makeAuthority } from '../../services/certificates.ts';
import { freePort } from '../../services/free-port.ts';
import { type Kafka, startKafka } from '../../services/kafka.ts';
import { CLIENTS, makeTopic, openLog, valuesOf, withPlainAdmin } from './setting.ts';

const PASSWORD = randomBytes(12).toString('hex');
/** A broker closes a connection that does not re-authenticate in this time; kafkajs does so 10 s before its end. */
const REAUTH_MS = 12_000;
let kafka: Kafka;
/** Of the listener with TLS and passwords. */
let secured: string;
let tls: TlsConfig;
let log: EventLog;

beforeAll(async () => {
  const authority = await makeAuthority();
  const [port, controllerPort, securedPort] = [await freePort(), await freePort(), await freePort()];
  const server = await authority.issue('localhost', ['DNS:localhost']);
  tls = { ca: authority.ca, ...(await authority.issue('ann')), verify: true };
  const line = (pem: string) => pem.trim().replaceAll('\n', '\\n');
  const login = (module: string, rest = '') =>
    `org.apache.kafka.common.security.${module}LoginModule required${rest};`;
  kafka = await startKafka({
    port,
    controllerPort,
    config: {
      listeners: `PLAINTEXT://127.0.0.1:${port},SECURED://127.0.0.1:${securedPort},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},SECURED://localhost:${securedPort}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL,CONTROLLER:PLAINTEXT',
      'ssl.client.auth': 'required',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.certificate.chain': line(server.cert),
      'ssl.keystore.key': line(server.key),
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.certificates': line(authority.ca),
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.secured.plain.sasl.jaas.config': login('plain.Plain', ` user_ann="${PASSWORD}"`),
      'listener.name.secured.scram-sha-256.sasl.jaas.config': login('scram.Scram'),
      'listener.name.secured.scram-sha-512.sasl.jaas.config': login('scram.Scram'),
      'listener.name.secured.connections.max.reauth.ms': String(REAUTH_MS),
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      'allow.everyone.if.no.acl.found': 'true',
    },
  });
  secured = `localhost:${securedPort}`;
  await addScramUser(port);
}, 120_000);

afterEach(() => log.close());

afterAll(() => kafka.stop());

async function addScramUser(port: number): Promise<void> {
  const connection = new Connection('test');
  await connection.connect('127.0.0.1', port);
  const salt = randomBytes(16);
  for (const [mechanism, digest, bytes] of [
    [1, 'sha256', 32],
    [2, 'sha512', 64],
  ] as const) {
    const saltedPassword = pbkdf2Sync(PASSWORD, salt, 4096, bytes, digest);
    const user = { name: 'ann', mechanism, iterations: 4096, salt, saltedPassword };
    await alterUserScramCredentialsV0.api.async(connection, [], [user]);
  }
  await connection.close();
}

describe.each(CLIENTS)('%s', (client) => {
  function open(topics: string[], changes: Partial<KafkaConfig> = {}): void {
    const sasl = { mechanism: 'plain', username: 'ann', password: PASSWORD } as const;
    ({ log } = openLog(secured, topics, { client, tls, sasl, ...changes }));
  }

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    'C43 appends over TLS with a password and a certificate of its own (%s)',
    async (mechanism) => {
      const topic = await makeTopic(kafka.brokers, 2);
      open([topic], { sasl: { mechanism, username: 'ann', password: PASSWORD } });
      expect(await log.append([record(topic, 'a', 'k'), record(topic, 'b')])).toEqual(['stored', 'stored']);
      expect(await valuesOf(kafka.brokers, topic)).toEqual(['a', 'b']);
    },
  );

  test('C43 goes on when a broker asks for the password again and again', async () => {
    const topic = await makeTopic(kafka.brokers, 2);
    open([topic]);
    const until = Date.now() + 1.2 * REAUTH_MS;
    let sent = 0;
    for (; Date.now() < until; sent++) {
      expect(await log.append([record(topic, `${sent}`)])).toEqual(['stored']);
      // Only the pace of the load: nothing is waited for.
      await sleep(50);
    }
    expect((await valuesOf(kafka.brokers, topic)).length).toBe(sent);
  });

  test.each([
    [
      'a wrong password',
      { sasl: { mechanism: 'plain', username: 'ann', password: 'wrong' } },
      /authenticat/i,
    ],
    ['a certificate that nobody vouches for', { tls: { verify: true } }, /certificate/i],
  ] as const)('C43 says why it cannot append: %s', async (_, changes, reason) => {
    const topic = await makeTopic(kafka.brokers, 1);
    open([topic], changes);
    expect(await log.append([record(topic, 'a')])).toEqual(['failed']);
    await vi.waitFor(() => expect(log.problem()).toMatch(reason), { timeout: 10_000 });
  });

  test('C42 fails the records of a topic that it may not write to and no others, until it may', async () => {
    const [allowed, refused] = [await makeTopic(kafka.brokers, 2), await makeTopic(kafka.brokers, 2)];
    open([allowed, refused]);
    const both = () => log.append([record(allowed, 'a'), record(refused, 'b'), record(allowed, 'c')]);
    expect(await both()).toEqual(['stored', 'stored', 'stored']);
    const acl = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: refused,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:ann',
      host: '*',
      operation: AclOperationTypes.WRITE,
      permissionType: AclPermissionTypes.DENY,
    };
    await withPlainAdmin(kafka.brokers, (admin) => admin.createAcls({ acl: [acl] }));
    await vi.waitFor(async () => expect(await both()).toEqual(['stored', 'failed', 'stored']), 20_000);
    expect(log.problem()).toContain(refused);
    await withPlainAdmin(kafka.brokers, (admin) => admin.deleteAcls({ filters: [acl] }));
    await vi.waitFor(async () => expect(await both()).toEqual(['stored', 'stored', 'stored']), 20_000);
  });
});
