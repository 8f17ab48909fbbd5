import type { Toxic } from '../../services/toxiproxy.ts';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';

export const redisRestart: Scenario = {
  name: 'redis-restart',
  about: 'Redis is killed and comes back empty; events go on unchecked (outage: accept)',
  rounds: 2,
  round: (stage, random) => replace(stage, random),
};

async function replace(stage: Stage, random: Random): Promise<void> {
  const from = Date.now();
  const { platform } = stage;
  await stage.fault(
    'redis SIGKILL',
    'redis',
    0,
    () => platform.replaceRedis(random.between(0, 3_000)),
    () => {
      stage.troubles.push({ what: 'redis emptied', from, to: Date.now() });
    },
  );
}

export const redisStall: Scenario = {
  name: 'redis-stall',
  about: 'Redis hangs (SIGSTOP); what was sent to it is handled when it goes on',
  rounds: 3,
  round: (stage, random) => stall(stage, random),
};

function stall(stage: Stage, random: Random): Promise<void> {
  const { platform } = stage;
  return stage.fault(
    'redis SIGSTOP',
    'redis',
    random.pick([random.between(50, 600), random.between(600, 4_000)]),
    () => platform.signalRedis('SIGSTOP'),
    () => platform.signalRedis('SIGCONT'),
  );
}

export const redisNetwork: Scenario = {
  name: 'redis-network',
  about: 'bytes to Redis or from it vanish, are late, or connections are reset or refused',
  rounds: 4,
  round: (stage, random) => network(stage, random),
};

async function network(stage: Stage, random: Random): Promise<void> {
  const { redisProxy } = stage.platform;
  const hole: Toxic = { type: 'timeout', attributes: { timeout: 0 } };
  const [name, toxic] = random.pick<[string, Toxic | null]>([
    ['blackhole', hole],
    ['blackhole, upstream', { ...hole, stream: 'upstream' }],
    ['blackhole, downstream', { ...hole, stream: 'downstream' }],
    ['latency', { type: 'latency', attributes: { latency: 200, jitter: 190 } }],
    ['reset', { type: 'reset_peer', attributes: { timeout: 20 } }],
    ['refused', null],
  ]);
  await stage.fault(
    `redis ${name}`,
    'redis',
    random.between(300, 4_000),
    () => (toxic === null ? redisProxy.enable(false) : redisProxy.add(toxic)),
    () => redisProxy.heal(),
  );
}
