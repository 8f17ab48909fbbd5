import { ReplyError } from 'ioredis';
import type { RedisServers } from '../../config/dedupe/types.ts';
import type { Address } from '../../config/values/address.ts';
import { StoreUnavailable } from '../../ports/dedupe-store.ts';
import type { Arguments, Script } from './call.ts';
import { Server, type ServerOptions } from './server.ts';
import { type HashTag, makeTags } from './slots.ts';
import { nameOf, readRedirect, readSlots } from './topology.ts';

type ClusterConfig = Extract<RedisServers, { cluster: unknown }>['cluster'];

/** Milliseconds between two refreshes of the slots' owners: while a tag has no usable node, and otherwise. */
const REFRESH_BROKEN_MS = 200;
const REFRESH_WHOLE_MS = 10_000;
/** Redirects of one call. A slot that moves while its old node is out of date needs two. */
const MAX_REDIRECTS = 4;

/**
 * Script calls on the nodes of a Redis Cluster. Stays connected to the nodes of the config, too: when all nodes have new
 * addresses, and connections to the old ones hang, only those addresses still lead to the cluster.
 *
 * The `Cluster` of ioredis 6 keeps asking the old ones then, and skips nodes that leave out their host; see
 * cluster.test.ts. It also repeats a redirected call with the same bytes, whose deadline is on the first node's clock.
 */
export class Cluster {
  readonly tags: readonly HashTag[];
  readonly #config: ClusterConfig;
  readonly #options: Omit<ServerOptions, 'target'>;
  readonly #servers = new Map<string, Server>();
  /** By tag. */
  #owners: (Server | undefined)[] = [];
  #reason = 'not connected to the Redis cluster yet';
  #refreshing = false;
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  #next = 0;
  #closed = false;

  constructor(config: ClusterConfig, prefix: string, options: Omit<ServerOptions, 'target'>) {
    this.tags = makeTags(prefix);
    this.#config = config;
    this.#options = { ...options, onChange: () => this.#refreshIn(0) };
    for (const node of config.nodes) this.#server(node);
  }

  async call(tag: number, script: Script, argue: (deadline: number) => Arguments): Promise<number[]> {
    const end = performance.now() + this.#options.timeout;
    let server = this.#owners[tag];
    let left = this.#options.timeout;
    let asking = false;
    for (let redirects = 0; ; redirects++) {
      if (server === undefined) throw new StoreUnavailable(this.#reason);
      try {
        return await server.call(script, argue, left, asking);
      } catch (error) {
        left = end - performance.now();
        const redirect = this.#redirect(tag, server, error as Error);
        if (redirect === null || redirects === MAX_REDIRECTS || left <= 0) throw error;
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

  /** The node that must take a failed call instead; null when it failed for good. */
  #redirect(tag: number, from: Server, error: Error): { server: Server; asking: boolean } | null {
    if (!(error.cause instanceof ReplyError) || this.#closed) return null;
    const redirect = readRedirect(error.message, this.#hostOf(from));
    if (redirect === null) {
      if (error.message.startsWith('CLUSTERDOWN')) this.#refreshIn(REFRESH_BROKEN_MS);
      return null;
    }
    const server = this.#server(redirect.address);
    if (redirect.kind === 'MOVED') {
      this.#owners[tag] = server;
      this.#refreshIn(20);
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

  #refreshIn(ms: number): void {
    const due = performance.now() + ms;
    // A refresh is never put off: under load it would be for ever.
    if (this.#closed || due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#refresh(), ms);
  }

  /** Asks the nodes in turn for the owners of all slots, until one answers. */
  async #refresh(): Promise<void> {
    this.#due = Number.POSITIVE_INFINITY;
    if (this.#refreshing) return this.#refreshIn(REFRESH_BROKEN_MS);
    this.#refreshing = true;
    const servers = [...this.#servers.values()].filter((server) => server.isUsable);
    // Begins with another node each time: a node that is cut off from the others has old answers.
    const first = servers.length === 0 ? 0 : this.#next++ % servers.length;
    for (const server of [...servers.slice(first), ...servers.slice(0, first)]) {
      const answer = await server.slots().catch(() => null);
      if (this.#closed) return;
      if (answer !== null && this.#apply(readSlots(answer, this.#hostOf(server)))) break;
    }
    this.#refreshing = false;
    const isWhole = this.tags.every((_, tag) => this.#owners[tag]?.isUsable);
    this.#refreshIn(isWhole ? REFRESH_WHOLE_MS : REFRESH_BROKEN_MS);
  }

  /** Takes over the owners of all slots; false when there are none. */
  #apply(ranges: ReturnType<typeof readSlots>): boolean {
    if (ranges.length === 0) return false;
    const known = new Set(this.#config.nodes.map(nameOf));
    for (const { nodes } of ranges) {
      for (const node of nodes) {
        known.add(nameOf(node));
        this.#server(node);
      }
    }
    this.#owners = this.tags.map(({ slot }) => {
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
