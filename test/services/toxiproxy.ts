import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from './free-port.ts';
import { buildGo } from './go.ts';
import { until } from './until.ts';

/** A fault that Toxiproxy puts into a connection; without a stream: in both directions. */
export interface Toxic {
  type: 'latency' | 'bandwidth' | 'slow_close' | 'timeout' | 'reset_peer' | 'slicer' | 'limit_data';
  /** To the server, or from it. */
  stream?: 'upstream' | 'downstream';
  /** By the type: milliseconds, KB/s, bytes. */
  attributes: Record<string, number>;
}

/** A port of the loopback that leads to another. */
export interface FaultyProxy {
  readonly port: number;
  add(toxic: Toxic): Promise<void>;
  /** False: connections are closed, and new ones refused. */
  enable(enabled: boolean): Promise<void>;
  /** Takes all toxics away and lets connections through. */
  heal(): Promise<void>;
}

export interface Toxiproxy {
  /** A proxy on `port` to a port of the loopback; the server need not be there yet. */
  proxy(name: string, port: number, target: number): Promise<FaultyProxy>;
  stop(): Promise<void>;
}

/** Starts Toxiproxy; the first call of a machine builds it with Go. */
export async function startToxiproxy(): Promise<Toxiproxy> {
  const binary = await buildGo('toxiproxy', { package: 'github.com/Shopify/toxiproxy/v2/cmd/server' });
  const port = await freePort();
  const child = spawn(binary, ['-host', '127.0.0.1', '-port', String(port)], { stdio: 'ignore' });
  const orphan = () => child.kill('SIGKILL');
  process.on('exit', orphan);
  const api = `http://127.0.0.1:${port}`;
  const call = async (method: string, path: string, body?: object) => {
    const reply = await fetch(`${api}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`Toxiproxy: ${method} ${path}: ${reply.status} ${text}`);
    return JSON.parse(text || 'null') as unknown;
  };
  await until('Toxiproxy answers', async () => {
    if (child.exitCode !== null) throw new Error(`Toxiproxy ended with ${child.exitCode}`);
    return (await call('GET', '/proxies').catch(() => null)) !== null;
  });
  return {
    proxy: async (name, listen, target) => {
      const path = `/proxies/${name}`;
      await call('POST', '/proxies', {
        name,
        listen: `127.0.0.1:${listen}`,
        upstream: `127.0.0.1:${target}`,
        enabled: true,
      });
      return {
        port: listen,
        add: async ({ type, stream, attributes }) => {
          for (const one of stream === undefined ? ['upstream', 'downstream'] : [stream]) {
            await call('POST', `${path}/toxics`, { type, stream: one, attributes });
          }
        },
        enable: async (enabled) => {
          await call('POST', path, { enabled });
        },
        heal: async () => {
          const toxics = (await call('GET', `${path}/toxics`)) as { name: string }[];
          for (const toxic of toxics) await call('DELETE', `${path}/toxics/${toxic.name}`);
          await call('POST', path, { enabled: true });
        },
      };
    },
    stop: async () => {
      process.off('exit', orphan);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}
