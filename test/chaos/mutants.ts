import type { Change } from './copy.ts';
import type { Outcome } from './ledger.ts';

/** A fault that was put into the program on purpose. */
export interface Mutant {
  name: string;
  change: Change;
  /** The scenario that must find it. */
  scenario: string;
  /** An outcome that the books must name. */
  breaks: Outcome | 'undelivered';
}

export const mutants: readonly Mutant[] = [
  {
    name: 'the answer comes before the acknowledgement of Kafka',
    change: {
      file: 'gateway/commit/commit.ts',
      from: '      const verdicts = await this.#appendRenewing(live, owner, facts);\n',
      to: `      for (const item of live) settle(item, item.wanted, null);
      const verdicts = await this.#appendRenewing(live, owner, facts);\n`,
    },
    scenario: 'kafka-unready',
    breaks: 'acknowledged and missing',
  },
  {
    name: 'ids are confirmed before the append',
    change: {
      file: 'gateway/commit/commit.ts',
      from: '    await this.#append(kept, owner, facts, stored);\n',
      to: `    await this.#options.dedupe.confirm(claimsOf(kept), owner).catch(() => {});
    await this.#append(kept, owner, facts, stored);\n`,
    },
    scenario: 'kafka-unready',
    breaks: 'duplicate of nothing',
  },
  {
    name: 'an id that is known is stored all the same',
    change: {
      file: 'gateway/commit/commit.ts',
      from: "      if (outcome === 'duplicate' || outcome === 'changed') {\n",
      to: `      if (outcome === 'duplicate') kept.push(item);
      else if (outcome === 'changed') {\n`,
    },
    scenario: 'gateway-term',
    breaks: 'stored twice without a cause',
  },
  {
    name: 'offsets are committed before the function has answered',
    change: {
      file: 'dispatcher/subscription.ts',
      from: '      this.#intake.add(delivery.size);\n',
      to: `      this.#member.commits.finish(holding, delivery.offset);
      this.#intake.add(delivery.size);\n`,
    },
    scenario: 'dispatcher-kill',
    breaks: 'undelivered',
  },
  {
    name: 'an event is done before its dead letter is stored',
    change: {
      file: 'dispatcher/deliver.ts',
      from: '    for (const delivery of deliveries) void this.#bury(',
      to: `    for (const delivery of deliveries) this.#options.settled(delivery, false);
    for (const delivery of deliveries) void this.#bury(`,
    },
    scenario: 'dead-letter-away',
    breaks: 'undelivered',
  },
  {
    name: 'the spool forgets what it could not forward',
    change: {
      file: 'adapters/sqlite/spool-forwarder.ts',
      from: "const stored = batch.filter((_, i) => verdicts[i] === 'stored');",
      to: 'const stored = batch;',
    },
    scenario: 'kafka-away-spool',
    breaks: 'acknowledged and missing',
  },
];
