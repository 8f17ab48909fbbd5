import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<T extends Options> = ReturnType<typeof parseArgs<{ args: string[]; options: T }>>['values'];

/** One measurement of `npm run load`. */
export interface Run {
  /** One line, for `npm run load -- help`. */
  about: string;
  options: Options;
  /** Takes the arguments after the name. Resolves with false when what it measured breaks a promise. */
  start(args: string[]): Promise<boolean>;
}

export function defineRun<const T extends Options>(run: {
  about: string;
  options: T;
  measure(options: Values<T>): Promise<boolean>;
}): Run {
  const { about, options, measure } = run;
  return { about, options, start: (args) => measure(parseArgs({ args, options }).values) };
}
