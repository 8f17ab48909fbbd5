import { type DestinationStream, destination, type Logger, pino, stdSerializers } from 'pino';
import { printableJson } from '../../core/printable.ts';
import type {
  BreakerFacts,
  DeliveryFacts,
  GroupFacts,
  Report,
  RequestFacts,
  StreamFacts,
} from '../../ports/report.ts';

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

/** Makes Node's warnings lines of the log; by itself it writes them as text to standard error. */
export function logWarnings(logger: Logger): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    // Of kafkajs, for every connection: its timers without a delay have a negative one.
    if (warning.name !== 'TimeoutNegativeWarning') logger.warn({ err: warning }, warning.message);
  });
}

/** An error without what libraries hang on it: a Redis client's errors hold the command, password and all. */
function plainError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack, code } = stdSerializers.err(error);
  return { type, message, stack, code };
}

/** A write per line would cost more than the line; a second is the most that a line waits. */
function standardOutput(): DestinationStream {
  return destination({ fd: 1, sync: false, minLength: 4096, periodicFlush: 1000 });
}

/** Takes credentials and queries out of URLs, wherever in a line they are: messages and stacks too. */
function withoutSecrets(line: string): string {
  if (!line.includes('://')) return line;
  return line
    .replace(/:\/\/[^\s"\\]*@/g, '://')
    .replace(/(:\/\/[^\s?"\\]*)\?(?:[^\s"\\]|\\["\\])*/g, '$1?...');
}

/** Lines per second for one code; a broken client or a store that is down must not fill the disk. */
const LINES_PER_SECOND = 10;

/** Facts as log lines: one for each commit group, and one for each request or delivery that went wrong. */
export function logReport(logger: Logger, now: () => number = performance.now.bind(performance)): Report {
  const gate = limiter(now);
  // Facts of a group hold nothing of a client's, and looking for it costs more than the line.
  const groups = logger.child({}, { redact: [] });
  return {
    group(facts: GroupFacts) {
      if (facts.error === null) groups.info(facts, 'group');
      else groups.warn(facts, 'group');
    },
    request(facts: RequestFacts) {
      if (facts.error === null && facts.status < 500) return;
      const code = facts.error ?? String(facts.status);
      const leftOut = gate(code);
      if (leftOut === null) return;
      const line = leftOut === 0 ? facts : { ...facts, leftOut };
      if (code === 'internal') logger.error(line, 'request');
      else if (facts.status >= 500) logger.warn(line, 'request');
      else logger.info(line, 'request');
    },
    delivery(facts: DeliveryFacts) {
      if (facts.outcome === 'delivered' || facts.outcome === 'filtered') {
        logger.debug(facts, 'delivery');
        return;
      }
      const leftOut = gate(`${facts.subscription} ${facts.outcome} ${facts.reason}`);
      if (leftOut === null) return;
      logger.warn(leftOut === 0 ? facts : { ...facts, leftOut }, 'delivery');
    },
    reply(facts) {
      if (facts.outcome === 'stored') return;
      const leftOut = gate(`${facts.subscription} reply ${facts.outcome}`);
      if (leftOut === null) return;
      logger.warn(leftOut === 0 ? facts : { ...facts, leftOut }, 'reply');
    },
    stream(facts: StreamFacts) {
      if (facts.state === 'lost')
        logger.error(facts, 'state of a stream is lost: open windows are incomplete');
      else if (facts.state !== undefined) logger.warn(facts, 'state of a stream');
      else if (
        facts.tooLarge ||
        facts.late ||
        facts.future ||
        facts.full ||
        facts.tooManyHops ||
        facts.keyless
      ) {
        const leftOut = gate(`${facts.stream} stream`);
        if (leftOut !== null) logger.warn(leftOut === 0 ? facts : { ...facts, leftOut }, 'stream');
      }
    },
    breaker(facts: BreakerFacts) {
      if (facts.open) logger.warn(facts, 'breaker open');
      else logger.info(facts, 'breaker closed');
    },
    step(facts) {
      if (facts.outcome === 'done' || facts.outcome === 'undone') {
        logger.debug(facts, 'step');
        return;
      }
      const leftOut = gate(`${facts.workflow} ${facts.step} ${facts.outcome}`);
      if (leftOut === null) return;
      logger.warn(leftOut === 0 ? facts : { ...facts, leftOut }, 'step');
    },
    instance(facts) {
      const { workflow, outcome } = facts;
      if (outcome === 'started' || outcome === 'done') logger.debug(facts, 'workflow');
      // Somebody must see to it: none of these is left out.
      else if (outcome === 'failed') logger.error(facts, 'workflow');
      else {
        const leftOut = gate(`${workflow} ${outcome}`);
        if (leftOut === null) return;
        const line = leftOut === 0 ? facts : { ...facts, leftOut };
        if (outcome === 'undone') logger.info(line, 'workflow');
        else logger.warn(line, 'workflow');
      }
    },
  };
}

/** Null when a line of this code is one too many; else how many were left out since the last one. */
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

/** Tells each of several. */
export function combineReports(...reports: Report[]): Report {
  return {
    group(facts) {
      for (const report of reports) report.group(facts);
    },
    request(facts) {
      for (const report of reports) report.request(facts);
    },
    delivery(facts) {
      for (const report of reports) report.delivery(facts);
    },
    reply(facts) {
      for (const report of reports) report.reply?.(facts);
    },
    unremembered(facts) {
      for (const report of reports) report.unremembered?.(facts);
    },
    breaker(facts) {
      for (const report of reports) report.breaker?.(facts);
    },
    stream(facts) {
      for (const report of reports) report.stream?.(facts);
    },
    step(facts) {
      for (const report of reports) report.step?.(facts);
    },
    instance(facts) {
      for (const report of reports) report.instance?.(facts);
    },
  };
}
