import { type Redis, ReplyError } from 'ioredis';
import { StoreUnavailable } from '../../ports/dedupe-store.ts';
import { type Arguments, type Script, ScriptCall } from './call.ts';
import { ServerClock } from './clock.ts';
import { connect, type Target } from './connect.ts';

export interface ServerOptions {
  target: Target;
  /** Milliseconds in which a call settles. */
  timeout: number;
  /** Loaded before the first call on a connection. */
  scripts: readonly Script[];
  /** Called for connection errors, each once per outage, and for settings of the server that lose keys. */
  onError(error: Error): void;
  /** Called when the server becomes usable, and when it no longer is. */
  onChange?(): void;
}

/** The part of a call's time in which the server must begin it. */
const DEADLINE_SHARE = 0.75;

/**
 * Script calls on one Redis server. Connects in the background. While the server is down or hangs, calls reject at once
 * with `StoreUnavailable`.
 */
export class Server {
  readonly #options: ServerOptions;
  readonly #redis: Redis;
  readonly #clock = new ServerClock();
  /** Connected, and the server's clock is known. */
  #usable = false;
  #closed = false;
  #corked = false;
  readonly #reported = new Set<string>();
  #reason = 'not connected to Redis yet';

  constructor(options: ServerOptions) {
    this.#options = options;
    // Calls have their own, shorter time limit; this is for the handshake with a server that hangs.
    this.#redis = connect(options.target, Math.max(1_000, options.timeout * 2));
    this.#redis.on('ready', () => void this.#prepare());
    this.#redis.on('close', () => this.#setUsable(false));
    // ioredis gives up when a connection ends while it asks the sentinels.
    this.#redis.on('end', () => setTimeout(() => this.#reconnect(), 500));
    this.#redis.on('error', (error) => {
      this.#reason = error.message;
      this.#report(error);
    });
  }

  get isUsable(): boolean {
    return this.#usable;
  }

  /**
   * Calls a script. `argue` makes the arguments for a deadline on this server's clock. The call settles within `timeout`
   * ms. `asking`: the keys' slot is moving to this server (ASKING of Redis Cluster).
   */
  call(
    script: Script,
    argue: (deadline: number) => Arguments,
    timeout = this.#options.timeout,
    asking = false,
  ): Promise<number[]> {
    if (!this.#usable) return Promise.reject(new StoreUnavailable(this.#reason));
    // Earlier than our own limit: the clock is an estimate, and an answer needs time.
    const args = argue(this.#clock.at(performance.now() + timeout * DEADLINE_SHARE));
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
        // Timers run before sockets are read. When this process was busy, the answer may have arrived.
        setImmediate(() => {
          if (settled) return;
          this.#reason = `no answer from Redis within ${this.#options.timeout} ms`;
          settle(new StoreUnavailable(this.#reason));
          this.#hangUp();
        });
      }, timeout);
      this.#send(new ScriptCall('evalsha', script.sha, args), asking)
        .catch((error: Error) => {
          // Its scripts were flushed, or it was restarted behind a proxy.
          if (!(error instanceof ReplyError) || !error.message.startsWith('NOSCRIPT')) throw error;
          return this.#send(new ScriptCall('eval', script.text, args), asking);
        })
        .then((reply) => {
          this.#clock.sample(reply[0]!, performance.now());
          if (reply[1] === -1) settle(new StoreUnavailable('the call came to Redis too late'));
          else settle(null, reply);
        })
        .catch(settle);
    });
  }

  /** This node's reply to CLUSTER SLOTS. Rejects with `StoreUnavailable`. */
  async slots(): Promise<unknown> {
    if (!this.#usable) throw new StoreUnavailable(this.#reason);
    try {
      return await this.#redis.cluster('SLOTS');
    } catch (error) {
      if (error instanceof ReplyError) this.#report(error as Error);
      else this.#hangUp();
      throw this.#unavailable(error as Error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#usable = false;
    this.#reason = 'closed';
    this.#redis.disconnect();
    // Otherwise the socket would wait for a server that hangs.
    this.#redis.stream?.destroy();
  }

  /** Writes a command. Commands of one tick go out together, in order. */
  #send(call: ScriptCall, asking: boolean): Promise<number[]> {
    const { stream } = this.#redis;
    if (!this.#corked) {
      this.#corked = true;
      stream.cork();
      process.nextTick(() => {
        this.#corked = false;
        stream.uncork();
      });
    }
    // Holds for the next command only. When it fails the script call fails, too.
    if (asking) this.#redis.asking().catch(() => {});
    this.#redis.sendCommand(call);
    return call.promise as Promise<number[]>;
  }

  /** Asks for the clock and loads the scripts, before the first call on a new connection. */
  async #prepare(): Promise<void> {
    const redis = this.#redis;
    const { stream } = redis;
    try {
      const [time, memory] = await Promise.all([
        redis.time(),
        redis.info('memory'),
        ...this.#options.scripts.map(({ text }) => redis.script('LOAD', text)),
      ]);
      this.#clock.reset();
      this.#clock.sample(Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000), performance.now());
      this.#reason = 'connection to Redis lost';
      this.#reported.clear();
      this.#warnOfEviction(memory);
      if (!this.#closed && redis.status === 'ready' && redis.stream === stream) this.#setUsable(true);
    } catch (error) {
      this.#report(error as Error);
      stream?.destroy();
    }
  }

  #setUsable(usable: boolean): void {
    if (this.#usable === usable) return;
    this.#usable = usable;
    this.#options.onChange?.();
  }

  /** Ends a connection that does not answer. ioredis then makes another. */
  #hangUp(): void {
    this.#redis.stream?.destroy();
  }

  #reconnect(): void {
    if (!this.#closed) this.#redis.connect().catch(() => {});
  }

  /** All our keys expire, so every policy but noeviction may delete them too early. */
  #warnOfEviction(memory: string): void {
    const limit = /^maxmemory:(\d+)/m.exec(memory)?.[1];
    const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
    if (limit === undefined || limit === '0' || policy === undefined || policy === 'noeviction') return;
    this.#report(new Error(`Redis may forget keys too early: maxmemory-policy is ${policy}, not noeviction`));
  }

  /** Keeps the message of a Redis error; those of ioredis are about its options, so #reason replaces them. */
  #unavailable(error: Error): StoreUnavailable {
    if (error instanceof StoreUnavailable) return error;
    const reason = error instanceof ReplyError ? error.message : this.#reason;
    return new StoreUnavailable(reason, { cause: error });
  }

  #report(error: Error): void {
    if (this.#closed || this.#reported.has(error.message)) return;
    this.#reported.add(error.message);
    this.#options.onError(error);
  }
}
