import { count, duration, names, object, optional, section } from '../fields.ts';
import { functionShape } from '../subscription/shape.ts';
import { Type } from '../typebox.ts';

/** The part of the config's shape that says which functions run as one process. */

const retry = section(
  {
    attempts: count(5, 1000, 'In all; 1: no retry.'),
    min: duration('500ms', 'First wait; doubles each time, with jitter.'),
    max: duration('60s', 'Longest wait.'),
  },
  'When a call fails.',
);

const call = {
  name: Type.String({ minLength: 1, description: 'Of the step; its result has this name.' }),
  function: optional(functionShape),
  undo: optional(functionShape),
  when: optional(Type.String({ minLength: 1, description: 'CEL over workflow; false: skipped.' })),
  retry,
};

export const workflow = object({
  on: object({
    topics: names('Topics to read.'),
    filter: optional(
      Type.String({ minLength: 1, description: 'CEL; each event that matches begins an instance.' }),
    ),
  }),
  steps: Type.Array(
    object({
      ...call,
      name: optional(call.name),
      waitFor: optional(
        object({
          topics: names('Topics to read.'),
          filter: Type.String({ minLength: 1, description: 'CEL with one comparison to workflow.id.' }),
        }),
      ),
      timeout: optional(duration(null, 'Of one call, 30s; or of the wait, 24h.')),
      parallel: optional(
        Type.Array(object({ ...call, timeout: optional(duration(null, 'Of one call; 30s.')) }), {
          minItems: 1,
        }),
      ),
    }),
    { minItems: 1, description: 'Each has a function, waitFor or parallel.' },
  ),
  timeout: duration('48h', 'Of the whole; then what was done is undone.'),
  concurrency: count(64, 10_000, 'Calls at once.'),
  result: optional(Type.String({ description: 'Topic for what came of each instance; none.' })),
  deadLetter: optional(Type.String({ description: 'Topic for what could not be undone; {name}.dead.' })),
});
