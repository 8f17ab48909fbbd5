import type { Platform, SinglePlatform } from './platform.ts';
import type { PlatformKind } from './platforms.ts';
import type { Random } from './random.ts';
import type { Stage } from './stage.ts';

/** A kind of trouble that Postern has to get its events through. */
export interface Scenario<P extends Platform = SinglePlatform> {
  name: string;
  about: string;
  /** Default: single. */
  platform?: PlatformKind;
  spool?: boolean;
  outage?: 'accept' | 'refuse';
  /** A second source with a topic and a subscription of its own. */
  side?: boolean;
  /** False: Postern makes no topics. */
  create?: boolean;
  /** Rounds of the short form. */
  rounds: number;
  /** One round of faults, beside the load; all is healed when it resolves. */
  round(stage: Stage<P>, random: Random): Promise<void>;
}

/** The same scenario where events are refused while Redis is away. */
export function refusing<P extends Platform>(scenario: Scenario<P>): Scenario<P> {
  return {
    ...scenario,
    name: `${scenario.name}-refuse`,
    about: `${scenario.name} with outage: refuse`,
    outage: 'refuse',
  };
}
