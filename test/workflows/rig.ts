import type { CallStep, StepConfig, WaitStep, WorkflowConfig } from '../../src/config/workflow/types.ts';
import type { EventLog, StoredRecord } from '../../src/ports/event-log.ts';
import type { InstanceFact, Report, StepFact } from '../../src/ports/report.ts';
import { startWorkflows, type Workflows, type WorkflowsOptions } from '../../src/workflows/workflows.ts';
import { Changes, eventRecord, httpAt, type Received, Rig, type TestFunction } from '../dispatcher/rig.ts';

/** What workflows report. */
class WorkflowFacts extends Changes {
  readonly steps: StepFact[] = [];
  readonly instances: InstanceFact[] = [];

  readonly report: Report = (fact) => {
    if (fact.kind === 'step') this.steps.push(fact);
    else if (fact.kind === 'instance') this.instances.push(fact);
    this.changed();
  };

  /** So many instances have come to this. */
  async count(outcome: InstanceFact['outcome'], count: number): Promise<void> {
    await this.until(() => this.instances.filter((one) => one.outcome === outcome).length >= count);
  }
}

/** Workflows on an embedded log. */
export class WorkflowRig extends Rig {
  readonly seen = new WorkflowFacts();
  readonly #running: Workflows[] = [];

  async run(
    workflow: Partial<WorkflowConfig> & { steps: StepConfig[] },
    more: Partial<WorkflowsOptions> = {},
    log: EventLog = this.log,
  ): Promise<Workflows> {
    const made = await startWorkflows({
      workflows: [flow(workflow)],
      log,
      report: this.seen.report,
      ...more,
    });
    this.#running.push(made);
    return made;
  }

  override async close(): Promise<void> {
    for (const one of this.#running) await one.stop(200);
    await super.close();
  }

  /** An event for a topic. */
  async send(topic: string, id: string, data: unknown, headers: Record<string, string> = {}): Promise<void> {
    const record = eventRecord(id, JSON.stringify(data));
    const [verdict] = await this.log.append([
      { ...record, topic, headers: { ...record.headers, ...headers } },
    ]);
    if (verdict !== 'stored') throw new Error(`not stored: ${verdict}`);
  }
}

function flow(changes: Partial<WorkflowConfig> & { steps: StepConfig[] }): WorkflowConfig {
  return {
    name: 'order',
    on: { topics: ['orders'], filter: null },
    timeout: 60_000,
    concurrency: 8,
    result: 'orders.done',
    deadLetter: 'order.dead',
    ...changes,
  };
}

export function call(name: string, target: TestFunction, changes: Partial<CallStep> = {}): CallStep {
  return {
    name,
    function: { http: httpAt(target.server.url) },
    undo: null,
    when: null,
    retry: { attempts: 3, min: 1, max: 5 },
    timeout: 5_000,
    ...changes,
  };
}

export function undoneBy(target: TestFunction): Pick<CallStep, 'undo'> {
  return { undo: { http: httpAt(target.server.url) } };
}

export function wait(name: string, filter: string, changes: Partial<WaitStep> = {}): WaitStep {
  return { name, waitFor: { topics: ['approvals'], filter }, when: null, timeout: 60_000, ...changes };
}

/** The step, or its undo, that a call is of: `o1/charge/undo`. */
export const keyOf = ({ request }: Received): string =>
  String(request.headers['idempotency-key']).slice(1, -1);

/** The JSON of a record's value. */
export const dataOf = (record: StoredRecord) => JSON.parse(Buffer.from(record.value!).toString());
