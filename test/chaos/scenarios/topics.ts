import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { makeTopics, whole, withAdmin } from '../admin.ts';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;

export const topicDeleted: Scenario = {
  name: 'topic-deleted',
  about: 'the topic of a second source is deleted; Postern makes it again, and the first source goes on',
  side: true,
  rounds: 2,
  round: (stage, random) => remove(stage, random, random.between(500, 3_000), async () => {}),
};

export const topicMissing: Scenario = {
  name: 'topic-missing',
  about: 'the topic of a second source is deleted and missing for a while; the first source goes on',
  side: true,
  create: false,
  rounds: 2,
  round: (stage, random) =>
    remove(stage, random, random.between(1_000, 8_000), () =>
      makeTopics(stage.platform.brokers, [sideOf(stage)]),
    ),
};

/** Deletes the topic of the second source, and makes it again after `ms` milliseconds. */
async function remove(stage: Stage, random: Random, ms: number, make: () => Promise<void>): Promise<void> {
  const { brokers } = stage.platform;
  const topic = sideOf(stage);
  const from = Date.now();
  await stage.fault(
    'topic deleted',
    null,
    ms,
    () => withAdmin(brokers, (admin) => admin.deleteTopics({ topics: [topic] })),
    async () => {
      await make();
      await whole(brokers, [topic], 1);
      const to = Date.now();
      stage.troubles.push({ what: 'topic deleted', topic, from, to }, { what: 'kafka', topic, from, to });
    },
  );
  // Events that must stay.
  await sleep(random.between(500, 4_000));
}

function sideOf({ sources }: Stage): string {
  return sources[1]!.topic;
}

export const topicRefused: Scenario = {
  name: 'topic-refused',
  about: 'the right to write to the topic of one of two sources is withdrawn for a while; the other goes on',
  side: true,
  rounds: 2,
  round: async (stage, random) => {
    const { brokers } = stage.platform;
    const { topic, name } = random.pick(stage.sources);
    const of = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topic,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:ANONYMOUS',
      host: '*',
    };
    // Once there is a rule, only what a rule allows is allowed.
    const acl = [
      { ...of, operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW },
      { ...of, operation: AclOperationTypes.WRITE, permissionType: AclPermissionTypes.DENY },
    ];
    const from = Date.now();
    await stage.fault(
      `topic of ${name} refused`,
      null,
      random.between(1_000, 6_000),
      () => withAdmin(brokers, async (admin) => void (await admin.createAcls({ acl }))),
      async () => {
        await withAdmin(brokers, (admin) => admin.deleteAcls({ filters: acl }));
        stage.troubles.push({ what: 'kafka', topic, from, to: Date.now() });
      },
    );
  },
};
