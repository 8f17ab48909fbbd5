// `npm run test:k8s`: the image and the chart on a real Kubernetes. Exits 1 on the first thing that is wrong.
// KUBECONFIG names the cluster; without it, one is made by ../shared/rig. See cluster.ts.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fetchJars } from '../services/kafka.ts';
import { openCluster } from './cluster.ts';
import { POSTERN, SERVICES } from './manifests.ts';
import { PARTS } from './parts.ts';
import { Stage } from './stage.ts';

const ROOT = join(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    /** Parts to run, with commas; default: all. */
    only: { type: 'string' },
    /** Folder that the image is built from. */
    context: { type: 'string', default: ROOT },
    /** Takes the images that the cluster has. */
    'no-images': { type: 'boolean', default: false },
  },
});

const names = values.only?.split(',') ?? Object.keys(PARTS);
const began = performance.now();
const say = (text: string) =>
  console.log(`${String(Math.round((performance.now() - began) / 1000)).padStart(4)} s  ${text}`);

const cluster = await openCluster();
let failed = 0;
try {
  if (!values['no-images']) {
    await cluster.image(POSTERN, values.context);
    const file = join(import.meta.dirname, 'images/services.Dockerfile');
    await cluster.image(SERVICES, await fetchJars(), { file });
  }
  for (const name of names) {
    const part = PARTS[name];
    if (part === undefined) throw new Error(`there is no part ${name}: ${Object.keys(PARTS).join(', ')}`);
    say(`${name}: begins`);
    const stage = new Stage(cluster);
    await stage.open();
    try {
      await part({ stage, cluster, say });
      say(`${name}: good`);
    } catch (error) {
      failed++;
      say(`${name}: ${(error as Error).stack}`);
      console.log(await stage.kubectl('get', 'pods'));
      const args = ['-l', 'app.kubernetes.io/name=postern', '--tail=2000', '--prefix'];
      const lines = (await stage.kubectl('logs', ...args)).split('\n');
      // The log has a line for each stored group, which would hide the rest.
      console.log(lines.filter((line) => !line.includes('"msg":"group"')).join('\n'));
    }
  }
} finally {
  await cluster.close();
}
console.log(`${names.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
