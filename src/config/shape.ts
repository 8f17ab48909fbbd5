import type { Static } from 'typebox';
import { admin } from './admin/shape.ts';
import { dedupe } from './dedupe/shape.ts';
import { gateway } from './gateway/shape.ts';
import { log } from './log/shape.ts';
import { source } from './source/shape.ts';
import { stream } from './stream/shape.ts';
import { attributeFilter, subscription } from './subscription/shape.ts';
import { choice, duration, map, object } from './values/fields.ts';
import { Type } from './values/typebox.ts';
import { workflow } from './workflow/shape.ts';

/**
 * The shape of the YAML config: one JSON Schema, which gives the TypeScript type, the checks, the defaults, and
 * completion in editors (`postern.schema.json`). The `resolve.ts` and `check.ts` files check everything that a schema
 * cannot say. Before defaults are filled in, each setting with a default may be absent.
 */
export const configShape = object(
  {
    gateway,
    admin,
    log,
    dedupe,
    schemas: Type.String({
      default: './schemas',
      minLength: 1,
      description: 'Folder of the schemas, relative to this file.',
    }),
    sources: map(source, 'Sources of events, by name.'),
    subscriptions: map(subscription, 'Functions that receive events, by name.'),
    streams: map(stream, 'Windows of events whose results are new events, by name.'),
    workflows: map(workflow, 'Functions that are called in steps, and undone if a step fails, by name.'),
    grace: duration('30s', 'Time to finish after the signal to stop.'),
    logLevel: choice(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'info',
      'Least level of log lines.',
    ),
  },
  { $defs: { attributeFilter } },
);

/** The document with its defaults filled in. */
export type ConfigDocument = Static<typeof configShape>;
