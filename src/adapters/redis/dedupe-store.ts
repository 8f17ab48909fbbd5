import { type Redis, ReplyError } from 'ioredis';
import {
  type Claim,
  type ClaimOutcome,
  type DedupeStore,
  StoreUnavailable,
} from '../../ports/dedupe-store.ts';
import { ScriptCall, scriptArguments } from './call.ts';
import { ServerClock } from './clock.ts';
import { connect } from './connect.ts';
import { claimScript, confirmScript, outcomes, releaseScript, type Script } from './scripts.ts';

export interface RedisDedupeOptions {
  /** `redis://` or `rediss://`, with user, password and database number where needed. */
  url: string;
  /** Goes before every key. */
  prefix: string;
  /** Milliseconds in which each call settles. */
  timeout: number;
  /** Milliseconds that a confirmed id is remembered. */
  window: number;
  /** Milliseconds that a claim lives. */
  lease: number;
  /** Told of connection errors, each once per outage, and of settings of the server that lose ids. */
  onError(error: Error): void;
}

/** Part of the timeout in which a command has to come into force. */
const DEADLINE_SHARE = 0.75;

/**
 * Ids in one Redis server (or whatever answers at its address). Connects in the background: until then,
 * and while Redis is down, calls reject at once with `StoreUnavailable`.
 */
export function redisDedupeStore(options: RedisDedupeOptions): DedupeStore {
  return new RedisDedupeStore(options);
}

class RedisDedupeStore implements DedupeStore {
  readonly #options: RedisDedupeOptions;
  readonly #redis: Redis;
  readonly #clock = new ServerClock();
  /** Connected, and the server's clock is known. */
  #usable = false;
  #corked = false;
  readonly #reported = new Set<string>();
  #reason = 'not connected to Redis yet';

  constructor(options: RedisDedupeOptions) {
    this.#options = options;
    // Calls have their own, shorter time limit; this is for the handshake with a server that hangs.
    this.#redis = connect(options.url, Math.max(1_000, options.timeout * 2));
    this.#redis.on('ready', () => void this.#prepare());
    this.#redis.on('close', () => {
      this.#usable = false;
    });
    this.#redis.on('error', (error) => {
      this.#reason = error.message;
      this.#report(error);
    });
  }

  async claim(claims: readonly Claim[], owner: string): Promise<ClaimOutcome[]> {
    const reply = await this.#call(claimScript, claims, owner, this.#options.lease);
    const result = new Array<ClaimOutcome>(claims.length).fill('claimed');
    for (let i = 1; i < reply.length; i++) result[reply[i]! >> 2] = outcomes[reply[i]! & 3]!;
    return result;
  }

  async confirm(claims: readonly Claim[], owner: string): Promise<void> {
    await this.#call(confirmScript, claims, owner, this.#options.window);
  }

  async release(claims: readonly Claim[], owner: string): Promise<void> {
    await this.#call(releaseScript, claims, owner, 0);
  }

  async close(): Promise<void> {
    this.#usable = false;
    this.#reason = 'closed';
    this.#redis.disconnect();
    // A server that hangs would keep the socket half open.
    this.#redis.stream?.destroy();
  }

  #call(script: Script, claims: readonly Claim[], owner: string, life: number): Promise<number[]> {
    if (claims.length === 0) return Promise.resolve([]);
    if (!this.#usable) return Promise.reject(new StoreUnavailable(this.#reason));
    const { prefix, timeout } = this.#options;
    // Earlier than we give up ourselves: the clocks are known to a round trip only, and an answer needs time.
    const deadline = this.#clock.at(performance.now() + timeout * DEADLINE_SHARE);
    const args = scriptArguments(claims, prefix, [deadline, life, `${owner}:`]);
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (error: Error | null, reply?: number[]) => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        if (error === null) resolve(reply!);
        else reject(this.#unavailable(error));
      };
      const timer = setTimeout(() => {
        // Timers run before sockets are read: after a busy moment of ours the answer may be there already.
        setImmediate(() => {
          if (settled) return;
          this.#reason = `no answer from Redis within ${timeout} ms`;
          settle(new StoreUnavailable(this.#reason));
          this.#redis.stream?.destroy();
        });
      }, timeout);
      this.#send(new ScriptCall('evalsha', script.sha, args))
        .catch((error: Error) => {
          // The server has been restarted behind a proxy, or its scripts were flushed.
          if (!(error instanceof ReplyError) || !error.message.startsWith('NOSCRIPT')) throw error;
          return this.#send(new ScriptCall('eval', script.text, args));
        })
        .then((reply) => {
          this.#clock.sample(reply[0]!, performance.now());
          if (reply[1] === -1) settle(new StoreUnavailable('the call came to Redis too late'));
          else settle(null, reply);
        })
        .catch(settle);
    });
  }

  /** Writes a command; those of the same tick go out in one packet, in order. */
  #send(call: ScriptCall): Promise<number[]> {
    const { stream } = this.#redis;
    if (!this.#corked) {
      this.#corked = true;
      stream.cork();
      process.nextTick(() => {
        this.#corked = false;
        stream.uncork();
      });
    }
    this.#redis.sendCommand(call);
    return call.promise as Promise<number[]>;
  }

  /** What must be known and loaded before the first call on a new connection. */
  async #prepare(): Promise<void> {
    const redis = this.#redis;
    try {
      const [time, memory] = await Promise.all([
        redis.time(),
        redis.info('memory'),
        ...[claimScript, confirmScript, releaseScript].map(({ text }) => redis.script('LOAD', text)),
      ]);
      this.#clock.reset();
      this.#clock.sample(Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000), performance.now());
      this.#usable = redis.status === 'ready';
      this.#reason = 'connection to Redis lost';
      this.#reported.clear();
      this.#warnOfEviction(memory);
    } catch (error) {
      this.#report(error as Error);
      redis.stream?.destroy();
    }
  }

  /** All our keys expire, so that every policy but noeviction may drop them before their time. */
  #warnOfEviction(memory: string): void {
    const limit = /^maxmemory:(\d+)/m.exec(memory)?.[1];
    const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
    if (limit === undefined || limit === '0' || policy === undefined || policy === 'noeviction') return;
    this.#report(new Error(`Redis may forget ids too early: maxmemory-policy is ${policy}, not noeviction`));
  }

  /** The client's own messages are about its options; what the server says is worth reading. */
  #unavailable(error: Error): StoreUnavailable {
    if (error instanceof StoreUnavailable) return error;
    const reason = error instanceof ReplyError ? error.message : this.#reason;
    return new StoreUnavailable(reason, { cause: error });
  }

  #report(error: Error): void {
    if (this.#reported.has(error.message)) return;
    this.#reported.add(error.message);
    this.#options.onError(error);
  }
}
