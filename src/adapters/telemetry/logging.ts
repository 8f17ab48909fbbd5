import { type DestinationStream, destination, type Logger, pino, stdSerializers } from 'pino';
import { printableJson } from '../../core/printable.ts';
import type { Fact, InstanceFact, Report, RequestFact, StreamFact } from '../../ports/report.ts';

/** Fields that may hold a secret or personal data, at any of the first three levels. */
const SECRET = ['authorization', 'cookie', 'keys', 'key', 'password', 'secret', 'token', 'query', 'headers'];

/** A logger that writes JSON lines; to standard output, in blocks, unless told otherwise. */
export function makeLogger(level: string, stream: DestinationStream = standardOutput()): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: SECRET.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      serializers: { err: plainError, cause: plainError },
      hooks: { streamWrite: (line) => printableJson(withoutSecrets(line)) },
    },
    stream,
  );
}

/** Writes Node's warnings to the log; without this Node writes them as text to standard error. */
export function logWarnings(logger: Logger): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    // kafkajs causes it for every connection: it gives timers a negative delay.
    if (warning.name !== 'TimeoutNegativeWarning') logger.warn({ err: warning }, warning.message);
  });
}

/** An error without the fields that libraries add: a Redis client adds the command, with the password in it. */
function plainError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack, code } = stdSerializers.err(error);
  return { type, message, stack, code };
}

/** Writes in blocks, as a write per line would cost more than the line. A line waits at most a second. */
function standardOutput(): DestinationStream {
  return destination({ fd: 1, sync: false, minLength: 4096, periodicFlush: 1000 });
}

/** Removes credentials and queries from URLs anywhere in a line, also in messages and stacks. */
function withoutSecrets(line: string): string {
  if (!line.includes('://')) return line;
  return line
    .replace(/:\/\/[^\s"\\]*@/g, '://')
    .replace(/(:\/\/[^\s?"\\]*)\?(?:[^\s"\\]|\\["\\])*/g, '$1?...');
}

/** Most lines a second for one code: a broken client or a store that is down must not fill the disk. */
const LINES_PER_SECOND = 10;

/** Writes facts as log lines: one for each commit group, and one for each request, delivery or step that went wrong. */
export function logReport(logger: Logger, now: () => number = performance.now.bind(performance)): Report {
  const gate = limiter(now);
  // A line's message says its kind already.
  const serializers = { kind: () => undefined };
  const lines = logger.child({}, { serializers });
  // Facts of a group hold nothing of a client's, and a search for secrets costs more than the line.
  const groupLines = logger.child({}, { serializers, redact: [] });

  return (fact) => {
    switch (fact.kind) {
      case 'group':
        groupLines[fact.error === null ? 'info' : 'warn'](fact, 'group');
        break;
      case 'request':
        if (fact.error !== null || fact.status >= 500) logRequest(fact);
        break;
      case 'delivery':
        if (fact.outcome === 'delivered' || fact.outcome === 'filtered') lines.debug(fact, 'delivery');
        else limited(`${fact.subscription} ${fact.outcome} ${fact.reason}`, 'warn', fact, 'delivery');
        break;
      case 'reply':
        if (fact.outcome !== 'stored')
          limited(`${fact.subscription} reply ${fact.outcome}`, 'warn', fact, 'reply');
        break;
      case 'breaker':
        if (fact.open) lines.warn(fact, 'breaker open');
        else lines.info(fact, 'breaker closed');
        break;
      case 'stream':
        logStream(fact);
        break;
      case 'step':
        if (fact.outcome === 'done' || fact.outcome === 'undone') lines.debug(fact, 'step');
        else limited(`${fact.workflow} ${fact.step} ${fact.outcome}`, 'warn', fact, 'step');
        break;
      case 'instance':
        logInstance(fact);
        break;
    }
  };

  function logRequest(fact: RequestFact): void {
    const code = fact.error ?? String(fact.status);
    const level = code === 'internal' ? 'error' : fact.status >= 500 ? 'warn' : 'info';
    limited(code, level, fact, 'request');
  }

  function logStream(fact: StreamFact): void {
    const { late, future, full, tooManyHops, keyless, tooLarge } = fact;
    if (fact.state === 'lost') lines.error(fact, 'state of a stream is lost: open windows are incomplete');
    else if (fact.state !== undefined) lines.warn(fact, 'state of a stream');
    else if (late || future || full || tooManyHops || keyless || tooLarge)
      limited(`${fact.stream} stream`, 'warn', fact, 'stream');
  }

  function logInstance(fact: InstanceFact): void {
    const { workflow, outcome } = fact;
    if (outcome === 'started' || outcome === 'done') lines.debug(fact, 'workflow');
    // People must look at each of these, so none is left out.
    else if (outcome === 'failed') lines.error(fact, 'workflow');
    else limited(`${workflow} ${outcome}`, outcome === 'undone' ? 'info' : 'warn', fact, 'workflow');
  }

  /** Writes a line unless there were too many of this code; then the next one says how many were left out. */
  function limited(code: string, level: 'info' | 'warn' | 'error', fact: Fact, message: string): void {
    const leftOut = gate(code);
    if (leftOut !== null) lines[level](leftOut === 0 ? fact : { ...fact, leftOut }, message);
  }
}

/** Asked before a line of this code: null when it must be left out, else how many were left out since the last line. */
function limiter(now: () => number): (code: string) => number | null {
  const windows = new Map<string, { from: number; lines: number; leftOut: number }>();
  return (code) => {
    const time = now();
    let window = windows.get(code);
    if (!window) {
      window = { from: time, lines: 0, leftOut: 0 };
      windows.set(code, window);
    }
    if (time - window.from >= 1000) {
      window.from = time;
      window.lines = 0;
    }
    if (window.lines === LINES_PER_SECOND) {
      window.leftOut++;
      return null;
    }
    window.lines++;
    const { leftOut } = window;
    window.leftOut = 0;
    return leftOut;
  };
}
