import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { helmProgram } from '../helm/chart.ts';
import { type CommandOptions, command } from './commands.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A Kubernetes and the way images get into it. */
export interface Cluster {
  kubectl(args: string[], options?: CommandOptions): Promise<string>;
  helm(args: string[], options?: CommandOptions): Promise<string>;
  /** Builds an image and makes it known to the cluster under `tag`, which names its registry. */
  image(tag: string, context: string, options?: { file?: string }): Promise<void>;
  /** Makes an empty folder of the node that belongs to uid 1000, and gives its path; null where volumes are made on demand. */
  folder: ((name: string) => Promise<string>) | null;
  close(): Promise<void>;
}

/** The cluster of KUBECONFIG, else the one that the scripts in `../shared/rig` make on this machine. */
export async function openCluster(): Promise<Cluster> {
  if (process.env.KUBECONFIG) return fromKubeconfig();
  const scripts = join(ROOT, '../shared/rig');
  if (existsSync(join(scripts, 'rig.sh'))) return rig(scripts);
  throw new Error(
    'there is no cluster: set KUBECONFIG, and K8S_LOAD to what loads an image (kind load docker-image)',
  );
}

/** K8S_LOAD is the command that takes an image's name, such as `kind load docker-image`; none: the node sees Docker's images. */
async function fromKubeconfig(): Promise<Cluster> {
  const helm = await helmProgram();
  const load = process.env.K8S_LOAD?.split(' ') ?? [];
  return {
    kubectl: (args, options) => command('kubectl', args, options),
    helm: (args, options) => command(helm, args, options),
    image: async (tag, context, { file } = {}) => {
      await command('docker', ['build', '-t', tag, ...(file === undefined ? [] : ['-f', file]), context], {
        loud: true,
      });
      const [program, ...args] = load;
      if (program !== undefined) await command(program, [...args, tag], { loud: true });
    },
    folder: null,
    close: async () => {},
  };
}

async function rig(scripts: string): Promise<Cluster> {
  const folder = process.env.RIG ?? join(ROOT, '.cache/rig');
  await mkdir(folder, { recursive: true });
  // npm of the project's own Node would look for this machine's settings in another place.
  const PATH = (process.env.PATH ?? '')
    .split(':')
    .filter((path) => !path.endsWith('node_modules/.bin'))
    .join(':');
  const script = (name: string, args: string[], options: CommandOptions = {}) =>
    command('bash', [join(scripts, name), ...args], {
      ...options,
      // npm has a variable of this name too; here it asks for a node beside the API server.
      env: { ...options.env, PATH, RIG: folder, NODE: '1' },
    });
  const built = existsSync(join(folder, 'bin')) ? await readdir(join(folder, 'bin')) : [];
  if (!built.includes('etcd')) await script('deps.sh', [], { loud: true });
  const missing = [
    ...(existsSync(join(folder, 'src/pause/pause')) ? [] : ['pause']),
    ...(built.includes('etcd') ? [] : ['etcd']),
    ...(built.includes('kubectl') && built.includes('kubelet') && built.includes('kube-proxy')
      ? []
      : ['kube']),
    ...(built.includes('coredns') ? [] : ['coredns']),
    ...(built.includes('metrics-server') ? [] : ['metrics']),
  ];
  // A quarter of an hour where nothing is cached.
  if (missing.length > 0) await script('build.sh', missing, { loud: true });
  if (!existsSync(join(folder, 'pause.tar'))) await script('base-image.sh', [], { loud: true });
  await script('rig.sh', ['up'], { loud: true });
  const helm = await helmProgram();
  const inside = (args: string[], options?: CommandOptions) => script('rig.sh', ['exec', ...args], options);
  return {
    kubectl: (args, options) => inside(['kubectl', ...args], options),
    helm: (args, options) => inside([helm, ...args], options),
    image: async (tag, context, { file } = {}) => {
      await script('image.sh', [context, tag, ...(file === undefined ? [] : ['-f', file])], { loud: true });
      await script('rig.sh', ['load']);
    },
    folder: async (name) => {
      const path = join(folder, 'volumes', name);
      await inside(['rm', '-rf', path]);
      await inside(['install', '-d', '-o', '1000', '-g', '1000', path]);
      return path;
    },
    close: async () => {
      if (!process.env.K8S_KEEP) await script('rig.sh', ['down']);
    },
  };
}
