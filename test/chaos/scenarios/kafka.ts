import type { Toxic } from '../../services/toxiproxy.ts';
import { withAdmin } from '../admin.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

/** The broker is ended and started again. Longer outages than an append's patience are among them. */
export const kafkaRestart: Scenario = {
  name: 'kafka-restart',
  about: 'the broker is stopped (SIGTERM) or killed (SIGKILL), and comes back on the same data',
  rounds: 2,
  round: (stage, random) => restart(stage, random.pick(['SIGTERM', 'SIGKILL']), random.between(0, 3_000)),
};

function restart(stage: Stage, signal: 'SIGTERM' | 'SIGKILL', ms: number): Promise<void> {
  const { kafka } = stage.platform;
  return stage.fault(
    `kafka ${signal}`,
    'kafka',
    ms,
    () => kafka.kill(signal),
    () => kafka.restart(),
  );
}

/** The broker hangs: what was sent to it is handled when it goes on. */
export const kafkaStall: Scenario = {
  name: 'kafka-stall',
  about: 'the broker hangs (SIGSTOP), for less and for more than an append waits',
  rounds: 2,
  round: (stage, random) => {
    const { kafka } = stage.platform;
    return stage.fault(
      'kafka SIGSTOP',
      'kafka',
      random.pick([random.between(500, 5_000), random.between(12_500, 16_000)]),
      () => kafka.kill('SIGSTOP'),
      () => kafka.kill('SIGCONT'),
    );
  },
};

export const kafkaBlackhole: Scenario = {
  name: 'kafka-blackhole',
  about: 'bytes to the broker or from it vanish: appends without an answer, answers that never come',
  rounds: 2,
  round: (stage, random) => {
    const stream = random.pick(['both', 'upstream', 'downstream'] as const);
    const toxic: Toxic = { type: 'timeout', attributes: { timeout: 0 } };
    return toxicOfKafka(
      stage,
      `kafka blackhole, ${stream}`,
      stream === 'both' ? toxic : { ...toxic, stream },
      random.pick([random.between(1_000, 6_000), random.between(12_500, 16_000)]),
    );
  },
};

export const kafkaReset: Scenario = {
  name: 'kafka-reset',
  about: 'connections to the broker are reset, refused, slow, or cut in small pieces',
  rounds: 4,
  round: async (stage, random) => {
    const ms = random.between(500, 4_000);
    const { kafkaProxy } = stage.platform;
    const [kind] = random.shuffled(['reset', 'refused', 'slow', 'pieces'] as const);
    if (kind === 'refused') {
      const cut = () => kafkaProxy.enable(false);
      await stage.fault('kafka refused', 'kafka', ms, cut, () => kafkaProxy.heal());
    } else await toxicOfKafka(stage, `kafka ${kind}`, toxicFor[kind!], ms);
  },
};

const toxicFor: Record<'reset' | 'slow' | 'pieces', Toxic> = {
  reset: { type: 'reset_peer', attributes: { timeout: 20 } },
  slow: { type: 'latency', attributes: { latency: 400, jitter: 300 } },
  pieces: { type: 'slicer', attributes: { average_size: 200, size_variation: 100, delay: 500 } },
};

function toxicOfKafka(stage: Stage, name: string, toxic: Toxic, ms: number): Promise<void> {
  const { kafkaProxy } = stage.platform;
  return stage.fault(
    name,
    'kafka',
    ms,
    () => kafkaProxy.add(toxic),
    () => kafkaProxy.heal(),
  );
}

export const kafkaUnready: Scenario = {
  name: 'kafka-unready',
  about: 'the broker is there, but refuses all appends to the topic',
  rounds: 2,
  round: (stage, random) =>
    stage.fault(
      'topic not writable',
      'kafka',
      random.pick([random.between(1_000, 5_000), 13_000]),
      () => setWritable(stage, stage.topic, false),
      () => setWritable(stage, stage.topic, true),
    ),
};

/** A topic that takes only records of this very millisecond takes none, or nearly none. */
export async function setWritable({ platform }: Stage, topic: string, writable: boolean): Promise<void> {
  const configEntries = writable ? [] : [{ name: 'message.timestamp.before.max.ms', value: '0' }];
  await withAdmin(platform.brokers, async (admin) => {
    // 2: a topic.
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries }] });
  });
}

/** With a spool nobody is told `retry` while Kafka is away; gateways may die meanwhile. */
export const kafkaAwaySpool: Scenario = {
  name: 'kafka-away-spool',
  about: 'the broker is away or hangs while gateways with a spool take events, and are killed',
  spool: true,
  rounds: 2,
  round: async (stage, random) => {
    const { kafka } = stage.platform;
    const hangs = random.chance(0.5);
    await stage.fault(
      hangs ? 'kafka SIGSTOP' : 'kafka SIGKILL',
      'kafka',
      random.between(2_000, 8_000),
      () => kafka.kill(hangs ? 'SIGSTOP' : 'SIGKILL'),
      async () => {
        if (random.chance(0.7)) await stage.killGateway(random.between(0, 1), random.between(0, 500));
        if (hangs) kafka.kill('SIGCONT');
        else await kafka.restart();
      },
    );
    // In the middle of the forwarding.
    if (random.chance(0.7)) await stage.killGateway(random.between(0, 1), random.between(0, 500));
  },
};
