import { readFunction } from '../function/resolve.ts';
import type { Path } from '../text/path.ts';
import { checkName, checkTopic, checkTopics } from '../values/check.ts';
import type { Reader } from '../values/reader.ts';
import type { WorkflowDocument } from './shape.ts';
import type { CallStep, RetryConfig, StepConfig, WorkflowConfig } from './types.ts';

type RawStep = WorkflowDocument['steps'][number];
type RawCall = Omit<RawStep, 'waitFor' | 'parallel'>;

/** Makes a workflow of its document, and checks each value on its own. */
export function readWorkflow(name: string, raw: WorkflowDocument, reader: Reader): WorkflowConfig {
  const { findings, time } = reader;
  const at = (...rest: (string | number)[]): Path => ['workflows', name, ...rest];
  checkName(findings, at(), name);
  checkTopics(findings, at('on', 'topics'), raw.on.topics);
  const deadLetter = raw.deadLetter ?? `${name}.dead`;
  checkTopic(findings, at('deadLetter'), deadLetter);
  if (raw.result !== undefined) checkTopic(findings, at('result'), raw.result);
  const seen = new Set<string>();
  const steps = raw.steps.map((step, index) => readStep(at('steps', index), step, reader, seen));
  return {
    ...raw,
    name,
    on: { topics: raw.on.topics, filter: raw.on.filter ?? null },
    steps,
    timeout: time(at('timeout'), raw.timeout, 1_000),
    result: raw.result ?? null,
    deadLetter,
  };
}

function readStep(path: Path, raw: RawStep, reader: Reader, seen: Set<string>): StepConfig {
  const { findings, time } = reader;
  const { function: fn, waitFor, parallel } = raw;
  if ([fn, waitFor, parallel].filter((one) => one !== undefined).length !== 1)
    findings.error(path, 'needs one of function, waitFor and parallel');
  if (parallel !== undefined)
    return {
      parallel: parallel.map((one, index) => readCall([...path, 'parallel', index], one, reader, seen)),
    };
  if (waitFor === undefined) return readCall(path, raw, reader, seen);
  for (const [index, topic] of waitFor.topics.entries())
    checkTopic(findings, [...path, 'waitFor', 'topics', index], topic);
  if (raw.undo !== undefined)
    findings.error([...path, 'undo'], 'cannot go with waitFor: a wait does nothing that could be undone');
  return {
    name: stepName(path, raw.name, reader, seen),
    waitFor,
    when: raw.when ?? null,
    timeout: time([...path, 'timeout'], raw.timeout ?? '24h'),
  };
}

function readCall(path: Path, raw: RawCall, reader: Reader, seen: Set<string>): CallStep {
  const { time } = reader;
  return {
    name: stepName(path, raw.name, reader, seen),
    function: readFunction([...path, 'function'], raw.function ?? {}, reader),
    undo: raw.undo === undefined ? null : readFunction([...path, 'undo'], raw.undo, reader),
    when: raw.when ?? null,
    retry: readRetry([...path, 'retry'], raw.retry, reader),
    timeout: time([...path, 'timeout'], raw.timeout ?? '30s'),
  };
}

function readRetry(path: Path, raw: RawCall['retry'], { findings, time }: Reader): RetryConfig {
  const retry = {
    attempts: raw.attempts,
    min: time([...path, 'min'], raw.min, 0),
    max: time([...path, 'max'], raw.max, 0),
  };
  if (retry.min > retry.max) findings.error([...path, 'min'], 'is more than max');
  return retry;
}

function stepName(path: Path, name: string | undefined, { findings }: Reader, seen: Set<string>): string {
  if (name === undefined) findings.error(path, 'needs a name');
  else if (!/^[a-z][a-zA-Z0-9_]{0,62}$/.test(name))
    findings.error(
      [...path, 'name'],
      'must begin with a-z and have at most 63 letters, digits and _, so that expressions can use it',
    );
  else if (seen.has(name)) findings.error([...path, 'name'], `${name} is also the name of another step`);
  if (name !== undefined) seen.add(name);
  return name ?? '';
}
