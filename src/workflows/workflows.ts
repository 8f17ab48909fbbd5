import type { WorkflowConfig } from '../config/workflow/types.ts';
import { lagOf } from '../consume/commits.ts';
import type { ActionResult } from '../core/action-result.ts';
import { within } from '../core/lifecycle.ts';
import type { EventLog } from '../ports/event-log.ts';
import type { Report } from '../ports/report.ts';
import type { Tracing } from '../ports/tracing.ts';
import { type Compiled, compileWorkflow } from './compile.ts';
import { makeInstanceReporter } from './facts.ts';
import type { Instance } from './instances.ts';
import type { Progress } from './progress.ts';
import { InstanceRunner } from './run.ts';
import { Starts } from './starts.ts';
import type { State, Status } from './state.ts';
import { makeStepInvokers, type StepInvokers } from './step-invokers.ts';

export interface WorkflowsOptions {
  workflows: WorkflowConfig[];
  log: EventLog;
  report: Report;
  /** Default: no traces. */
  tracing?: Tracing | null;
  /** The brokers named in Lambda events: host:port, joined by commas. Default: none. */
  bootstrapServers?: string;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** From 0 to below 1. */
  random?: () => number;
}

export interface Workflows {
  /** The instances held here that are not over; null: there is no such workflow. */
  list(workflow: string): State[] | null;
  /** An instance held here, which may have been over for up to a minute. */
  find(workflow: string, id: string): State | null;
  /** Tries failed undos again. */
  retry(workflow: string, id: string): Promise<ActionResult>;
  /** Undoes a running instance, or ends a failed one as it is. */
  cancel(workflow: string, id: string): Promise<ActionResult>;
  names(): string[];
  /** Instances held here by status, without those that are over. */
  instances(): { workflow: string; status: Status; value: number }[];
  /** Age in seconds of the oldest instance that is not over; only workflows that have one. */
  oldest(): { workflow: string; value: number }[];
  /** Events per partition that are not in the progress topic yet; only partitions where that is known. */
  lag(): { workflow: string; topic: string; partition: number; value: number }[];
  problem(): string | null;
  /** Work that is not finished in `graceMs` milliseconds is left for the next start. */
  stop(graceMs: number): Promise<void>;
}

/** The start waits so long for a log that does not answer. */
const START_MS = 10_000;

/**
 * Begins to run workflows. Resolves when all of them read, or have tried to. Rejects on an expression or a function that
 * cannot be used.
 */
export async function startWorkflows(options: WorkflowsOptions): Promise<Workflows> {
  const all = new Map<string, Running>();
  for (const config of options.workflows) {
    const workflow = compileWorkflow(config);
    const { bootstrapServers = '', tracing = null } = options;
    const invokers = await makeStepInvokers(config, workflow.calls.values(), bootstrapServers, tracing);
    all.set(config.name, new Running(options, workflow, invokers));
  }
  const now = options.now ?? Date.now;
  await within(START_MS, Promise.all([...all.values()].map((one) => one.start())));
  return {
    names: () => [...all.keys()],
    list: (name) => all.get(name)?.list() ?? null,
    find: (name, id) => all.get(name)?.run.find(id)?.state ?? null,
    retry: async (name, id) => (await all.get(name)?.retry(id)) ?? 'unknown',
    cancel: async (name, id) => (await all.get(name)?.cancel(id)) ?? 'unknown',
    instances: () =>
      [...all].flatMap(([workflow, { run }]) =>
        [...countsOf(run.instances())].map(([status, value]) => ({ workflow, status, value })),
      ),
    oldest: () =>
      [...all].flatMap(([workflow, one]) => {
        // Not Math.min(...): a call cannot have so many arguments.
        const began = one
          .list()
          .reduce((first, state) => Math.min(first, state.began), Number.POSITIVE_INFINITY);
        return began === Number.POSITIVE_INFINITY
          ? []
          : [{ workflow, value: Math.max(0, now() - began) / 1000 }];
      }),
    lag: () => [...all.values()].flatMap((one) => one.lag()),
    problem: () => [...all.values()].map(({ problem }) => problem).find((text) => text !== null) ?? null,
    async stop(graceMs) {
      await within(graceMs, Promise.all([...all.values()].map((one) => one.stop(graceMs))));
    },
  };
}

const STATUSES = ['expected', 'running', 'undoing', 'failed', 'ending'] as const satisfies Status[];

function countsOf(instances: Iterable<Instance>): Map<Status, number> {
  const counts = new Map<Status, number>(STATUSES.map((status) => [status, 0]));
  for (const { state } of instances) {
    const count = counts.get(state.status);
    if (count !== undefined) counts.set(state.status, count + 1);
  }
  return counts;
}

type Wish = Extract<Progress, { kind: 'retry' | 'cancel' | 'leave' }>;

/** One workflow: its starts, and the runner of its instances. */
class Running {
  readonly #name: string;
  readonly run: InstanceRunner;
  readonly #starts: Starts;
  readonly #invokers: StepInvokers;

  constructor(options: WorkflowsOptions, workflow: Compiled, invokers: StepInvokers) {
    const { log, report, now = Date.now, random = Math.random } = options;
    const { name } = workflow.config;
    this.#name = name;
    this.#invokers = invokers;
    this.run = new InstanceRunner({ workflow, invokers, log, report, now, random });
    this.#starts = new Starts({
      workflow,
      log,
      random,
      isFull: () => this.run.isFull,
      tooLarge: () => makeInstanceReporter(report, name)('too_large'),
    });
  }

  get problem(): string | null {
    const text = this.run.member.problem ?? this.#starts.member.problem;
    return text === null ? null : `workflow ${this.#name}: ${text}`;
  }

  async start(): Promise<void> {
    await Promise.all([this.run.member.start(), this.#starts.member.start()]);
  }

  async stop(graceMs: number): Promise<void> {
    await Promise.all([this.#starts.member.stop(graceMs), this.run.stop(graceMs)]);
    await this.#invokers.close();
  }

  lag(): ReturnType<Workflows['lag']> {
    return lagOf(this.#starts.member.commits.holdings).map((lag) => ({ workflow: this.#name, ...lag }));
  }

  list(): State[] {
    return [...this.run.instances()]
      .map(({ state }) => state)
      .filter(({ status }) => status !== 'ended' && status !== 'expected');
  }

  retry(id: string): Promise<ActionResult> {
    return this.#act(id, ({ status }) => (status === 'failed' ? { kind: 'retry' } : null));
  }

  cancel(id: string): Promise<ActionResult> {
    return this.#act(id, ({ status, round }) => {
      if (status === 'running') return { kind: 'cancel' };
      return status === 'failed' ? { kind: 'leave', round } : null;
    });
  }

  /** Stores a person's wish, if it can be followed now. */
  async #act(id: string, wish: (state: State) => Wish | null): Promise<ActionResult> {
    const instance = this.run.find(id);
    if (instance === undefined || instance.state.status === 'expected') return 'unknown';
    const progress = wish(instance.state);
    if (progress === null) return 'not_now';
    return (await this.run.say(instance, progress)) === 'stored' ? 'stored' : 'failed';
  }
}
