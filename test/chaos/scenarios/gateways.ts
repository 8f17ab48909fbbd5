import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';

export const gatewayKill: Scenario = {
  name: 'gateway-kill',
  about: 'gateways are killed (SIGKILL) in mid load and come back on the same port',
  rounds: 4,
  round: (stage, random) => stage.killGateway(random.between(0, 1), random.between(0, 1_000)),
};

export const gatewayTerm: Scenario = {
  name: 'gateway-term',
  about: 'gateways are replaced one after the other (SIGTERM)',
  rounds: 2,
  round: async (stage, random) => {
    for (const gateway of stage.gateways) {
      await stage.fault(
        'gateway SIGTERM',
        null,
        0,
        () => gateway.end('SIGTERM'),
        () => gateway.start(),
      );
      await sleep(random.between(0, 500));
    }
  },
};
