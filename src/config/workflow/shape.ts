import type { Static } from 'typebox';
import { functionShape } from '../function/shape.ts';
import { count, duration, names, object, optional, section, text } from '../values/fields.ts';
import { Type } from '../values/typebox.ts';

const retry = section(
  {
    attempts: count(5, 1000, 'Attempts in all. 1: no retry.'),
    min: duration('500ms', 'First wait. Each next one is twice as long, with jitter.'),
    max: duration('60s', 'Longest wait.'),
  },
  'Retries of failed calls.',
);

const call = {
  name: text('Name of the step, and of its result.'),
  function: optional(functionShape),
  undo: optional(functionShape),
  when: optional(text('CEL over workflow. The step is skipped when it is false.')),
  retry,
};

export const workflow = object({
  on: object({
    topics: names('Topics to read.'),
    filter: optional(text('CEL. Each event that matches starts an instance. Default: every event.')),
  }),
  steps: Type.Array(
    object({
      ...call,
      name: optional(call.name),
      waitFor: optional(
        object({
          topics: names('Topics to read.'),
          filter: text('CEL that compares a value of the event with workflow.id.'),
        }),
      ),
      timeout: optional(
        duration(null, 'Longest time of one call (default: 30s) or of the wait (default: 24h).'),
      ),
      parallel: optional(
        Type.Array(
          object({ ...call, timeout: optional(duration(null, 'Longest time of one call. Default: 30s.')) }),
          {
            minItems: 1,
          },
        ),
      ),
    }),
    { minItems: 1, description: 'Each step has one of function, waitFor and parallel.' },
  ),
  timeout: duration('48h', 'Longest time of an instance. After it, the finished steps are undone.'),
  concurrency: count(64, 10_000, 'Most calls at the same time.'),
  result: optional(Type.String({ description: 'Topic for the result of each instance. Default: none.' })),
  deadLetter: optional(
    Type.String({ description: 'Topic for instances that cannot be undone. Default: {name}.dead.' }),
  ),
});

export type WorkflowDocument = Static<typeof workflow>;
