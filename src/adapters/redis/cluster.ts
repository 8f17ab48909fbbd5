import { ReplyError } from 'ioredis';
import type { RedisServers } from '../../config/dedupe/types.ts';
import type { Address } from '../../config/values/address.ts';
import { StoreUnavailable } from '../../ports/dedupe-store.ts';
import type { Arguments, Script } from './call.ts';
import { Server, type ServerOptions } from './server.ts';
import { makePlaces, type Place } from './slots.ts';
import { nameOf, readRedirect, readSlots } from './topology.ts';

type ClusterConfig = Extract<RedisServers, { cluster: unknown }>['cluster'];

/** Milliseconds until the nodes are asked again who has which slots: while one cannot be reached, and otherwise. */
const ASK_AGAIN = 200;
const ASK_NOW_AND_THEN = 10_000;
/** Redirections of one call: a slot that moves while its old node is out of date needs two. */
const MOST_HOPS = 4;

/**
 * Places of a Redis Cluster. Stays connected to the nodes of the config, since when all others have got new
 * addresses only they lead back, and to all nodes that those tell of.
 */
export class Cluster {
  readonly places: readonly Place[];
  readonly #config: ClusterConfig;
  readonly #options: Omit<ServerOptions, 'target'>;
  readonly #servers = new Map<string, Server>();
  /** By place. */
  #owners: (Server | undefined)[] = [];
  #reason = 'not connected to the Redis cluster yet';
  #asking = false;
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  #next = 0;
  #closed = false;

  constructor(config: ClusterConfig, prefix: string, options: Omit<ServerOptions, 'target'>) {
    this.places = makePlaces(prefix);
    this.#config = config;
    this.#options = { ...options, onChange: () => this.#askIn(0) };
    for (const node of config.nodes) this.#server(node);
  }

  async call(place: number, script: Script, argue: (deadline: number) => Arguments): Promise<number[]> {
    const end = performance.now() + this.#options.timeout;
    let server = this.#owners[place];
    let left = this.#options.timeout;
    let asking = false;
    for (let hops = 0; ; hops++) {
      if (server === undefined) throw new StoreUnavailable(this.#reason);
      try {
        return await server.call(script, argue, left, asking);
      } catch (error) {
        left = end - performance.now();
        const redirect = this.#redirect(place, server, error as Error);
        if (redirect === null || hops === MOST_HOPS || left <= 0) throw error;
        ({ server, asking } = redirect);
      }
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#owners = [];
    this.#reason = 'closed';
    for (const server of this.#servers.values()) server.close();
  }

  /** Where a call has to go that a node did not take; null when it failed for good. */
  #redirect(place: number, from: Server, error: Error): { server: Server; asking: boolean } | null {
    if (!(error.cause instanceof ReplyError) || this.#closed) return null;
    const redirect = readRedirect(error.message, this.#hostOf(from));
    if (redirect === null) {
      if (error.message.startsWith('CLUSTERDOWN')) this.#askIn(ASK_AGAIN);
      return null;
    }
    const server = this.#server(redirect.address);
    if (redirect.kind === 'MOVED') {
      this.#owners[place] = server;
      this.#askIn(20);
    }
    return { server, asking: redirect.kind === 'ASK' };
  }

  #server(node: Address): Server {
    const name = nameOf(node);
    let server = this.#servers.get(name);
    if (server === undefined) {
      const target = { node, login: this.#config };
      server = new Server({ ...this.#options, target });
      this.#servers.set(name, server);
    }
    return server;
  }

  #hostOf(server: Server): string {
    for (const [name, one] of this.#servers) if (one === server) return name.slice(0, name.lastIndexOf(':'));
    return '';
  }

  #askIn(ms: number): void {
    const due = performance.now() + ms;
    // Who puts off what is due would put it off for ever under load.
    if (this.#closed || due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), ms);
  }

  /** Asks one node after the other who has which slots, until one answers. */
  async #ask(): Promise<void> {
    this.#due = Number.POSITIVE_INFINITY;
    if (this.#asking) return this.#askIn(ASK_AGAIN);
    this.#asking = true;
    const servers = [...this.#servers.values()].filter((server) => server.usable);
    // Another one first each time: what a node says that is cut off from the others is out of date.
    const first = servers.length === 0 ? 0 : this.#next++ % servers.length;
    for (const server of [...servers.slice(first), ...servers.slice(0, first)]) {
      const answer = await server.slots().catch(() => null);
      if (this.#closed) return;
      if (answer !== null && this.#learn(readSlots(answer, this.#hostOf(server)))) break;
    }
    this.#asking = false;
    const whole = this.places.every((_, place) => this.#owners[place]?.usable);
    this.#askIn(whole ? ASK_NOW_AND_THEN : ASK_AGAIN);
  }

  /** Takes over what a node told; false when it knew of no node. */
  #learn(ranges: ReturnType<typeof readSlots>): boolean {
    if (ranges.length === 0) return false;
    const known = new Set(this.#config.nodes.map(nameOf));
    for (const { nodes } of ranges) {
      for (const node of nodes) {
        known.add(nameOf(node));
        this.#server(node);
      }
    }
    this.#owners = this.places.map(({ slot }) => {
      const range = ranges.find(({ from, to }) => from <= slot && slot <= to);
      return range === undefined ? undefined : this.#server(range.nodes[0]!);
    });
    this.#reason = 'no node of the Redis cluster has these slots';
    for (const [name, server] of this.#servers) {
      if (known.has(name)) continue;
      this.#servers.delete(name);
      server.close();
    }
    return true;
  }
}
