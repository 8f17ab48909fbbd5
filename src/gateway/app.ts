import { type Context, Hono } from 'hono';
import type { Config } from '../config.ts';
import { RequestError } from '../errors.ts';
import type { Verdict } from '../event.ts';
import type { DedupeStore } from '../ports/dedupe-store.ts';
import type { Appender } from '../ports/event-log.ts';
import type { Platform } from '../ports/platform.ts';
import type { Report } from '../ports/report.ts';
import type { SchemaSet } from '../schema/registry.ts';
import { checkKey, type Door, makeDoors, Room } from './admit.ts';
import { announcedLength, codingOf, readWhole } from './body.ts';
import { type Cors, makeCors } from './cors.ts';
import { decode, formatOf } from './decode.ts';
import { CommitGroups } from './group.ts';
import { judge, rejectedRecord, store } from './pipeline.ts';
import { problemReply, type Reply, verdictReply } from './reply.ts';
import type { DecodeContext } from './sources/source.ts';
import { idempotencyKeyOf, traceHeaders } from './sources/transport.ts';

export interface GatewayOptions {
  config: Config;
  schemas: () => SchemaSet;
  log: Appender;
  dedupe: DedupeStore;
  platform: Platform;
  report: Report;
}

export interface Gateway {
  app: Hono;
  bufferedBytes(): number;
  /** From now on replies ask clients to close their connections. */
  beginStop(): void;
  /** Resolves when every group is settled and its ids are confirmed. */
  settled(): Promise<void>;
}

const NO_VERDICTS: Record<Verdict, number> = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };

/** The ingest application: routes, and the journey of one request. */
export function makeGateway(options: GatewayOptions): Gateway {
  const { config, platform, report } = options;
  const { limits } = config.gateway;
  const room = new Room(limits);
  const doors = makeDoors(config, platform);
  const cors = makeCors(config.gateway.cors);
  const groups = makeGroups(options);
  const app = new Hono();
  const clock = { at: 0, text: '' };
  let stopping = false;

  async function post(c: Context): Promise<Response> {
    const started = performance.now();
    const name = c.req.param('source')!;
    const door = doors.get(name);
    const hold = { entered: false, bytes: 0 };
    let verdicts = NO_VERDICTS;
    let fault: RequestError | null = null;
    let reply: Reply;
    try {
      if (door === undefined) throw new RequestError('not_found', 'there is no source of this name');
      const request = inspect(c, door);
      const { contentType, format } = request;
      room.enter(request.announced ?? 0);
      hold.entered = true;
      hold.bytes = request.announced ?? 0;
      const body = await readWhole(c.req.raw, c.env, request, (bytes) => {
        room.grow(bytes);
        hold.bytes += bytes;
      });
      const events = decode(format, body, contentType, () => c.req.raw.headers, contextOf(request, door));
      judge(events, door.source, options.schemas());
      const outcome = await store(events, door.source, groups.get(door.source.config.topic)!, platform);
      verdicts = outcome.counts;
      reply = verdictReply(outcome.counts, outcome.events);
    } catch (error) {
      fault = error instanceof RequestError ? error : internal(error);
      reply = problemReply(fault);
    }
    if (hold.entered) room.leave(hold.bytes);
    report.request({
      source: door === undefined ? 'unknown' : name,
      status: reply.status,
      ms: performance.now() - started,
      verdicts,
      error: fault?.code ?? null,
      ...(fault?.cause === undefined ? {} : { cause: fault.cause }),
    });
    return respond(c, reply);
  }

  /** What the head of a request says. Throws RequestError when it may not come in. */
  function inspect(c: Context, door: Door) {
    const header = (name: string) => platform.header(c.req.raw, c.env, name);
    checkKey(door, header, () => (c.req.raw.url.includes('?') ? c.req.query('key') : undefined), platform);
    if (platform.headerCount(c.req.raw, c.env) > limits.headers) {
      throw new RequestError('headers_too_many', `more than ${limits.headers} header fields`);
    }
    const contentType = header('content-type');
    const format = formatOf(contentType, header);
    const coding = codingOf(header('content-encoding'));
    const announced = announcedLength(header('content-length'), limits);
    return { header, contentType, format, coding, announced, platform, limits };
  }

  function contextOf({ header }: ReturnType<typeof inspect>, door: Door): DecodeContext {
    return {
      source: door.source,
      limits,
      platform,
      receivedAt: rfc3339Now(),
      header,
      idempotencyKey: idempotencyKeyOf(header('idempotency-key'), limits.id),
      trace: traceHeaders(header('traceparent'), header('tracestate')),
    };
  }

  /** The time of day as RFC 3339 text, made once a millisecond. */
  function rfc3339Now(): string {
    const now = Date.now();
    if (now !== clock.at) {
      clock.at = now;
      clock.text = new Date(now).toISOString();
    }
    return clock.text;
  }

  function refuse(c: Context, error: RequestError): Response {
    const reply = problemReply(error);
    report.request({
      source: 'unknown',
      status: reply.status,
      ms: 0,
      verdicts: NO_VERDICTS,
      error: error.code,
    });
    return respond(c, reply);
  }

  function respond(c: Context, reply: Reply): Response {
    let { headers } = reply;
    const origin = platform.header(c.req.raw, c.env, 'origin');
    if (origin !== undefined || cors.varies) headers = { ...headers, ...cors.headers(origin) };
    if (stopping) headers = { ...headers, connection: 'close' };
    return new Response(reply.body, { status: reply.status, headers });
  }

  // One handler a path: with several, Hono runs each request through its middleware chain.
  app.all('/events/:source', (c) => {
    if (c.req.method === 'POST') return post(c);
    if (c.req.method === 'OPTIONS') return preflight(c, cors);
    return refuse(
      c,
      new RequestError('method_not_allowed', 'events are sent by POST', { allow: 'POST, OPTIONS' }),
    );
  });
  app.notFound((c) => refuse(c, new RequestError('not_found', 'events are sent to /events/{source}')));
  app.onError((error, c) => respond(c, problemReply(internal(error))));

  return {
    app,
    bufferedBytes: () => room.bytes,
    beginStop() {
      stopping = true;
    },
    async settled() {
      await Promise.all([...groups.values()].map((group) => group.idle()));
    },
  };
}

function makeGroups({ config, log, dedupe, report }: GatewayOptions): Map<string, CommitGroups> {
  const groups = new Map<string, CommitGroups>();
  for (const source of config.sources.values()) {
    if (groups.has(source.topic)) continue;
    const { outage, lease } = config.dedupe;
    const { timeout } = config.log;
    const tooLarge = (record: Parameters<typeof rejectedRecord>[0]) =>
      rejectedRecord(
        record,
        [{ code: 'event_too_large', detail: "over the topic's record size limit" }],
        source.name,
        true,
      );
    groups.set(
      source.topic,
      new CommitGroups({ topic: source.topic, log, dedupe, report, outage, timeout, lease, tooLarge }),
    );
  }
  return groups;
}

function preflight(c: Context, cors: Cors): Response {
  return new Response(null, {
    status: 204,
    headers: { allow: 'POST, OPTIONS', ...cors.preflight(c.req.header('origin')) },
  });
}

function internal(error: unknown): RequestError {
  const fault = new RequestError('internal', 'something went wrong here; the events may be sent again');
  fault.cause = error;
  return fault;
}
