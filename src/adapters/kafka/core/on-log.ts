/** A line of the adapter's own log: level, message, fields. */
export type OnLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Record<string, unknown>,
) => void;
