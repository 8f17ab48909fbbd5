import type { Random } from './random.ts';
import type { Stage } from './stage.ts';

/** A kind of trouble that Postern has to get its events through. */
export interface Scenario {
  name: string;
  about: string;
  spool?: boolean;
  outage?: 'accept' | 'refuse';
  /** Rounds of the short form. */
  rounds: number;
  /** One round of faults, beside the load; all is healed when it resolves. */
  round(stage: Stage, random: Random): Promise<void>;
}
