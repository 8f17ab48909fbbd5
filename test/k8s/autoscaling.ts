import assert from 'node:assert/strict';
import { judge } from './judge.ts';
import { fullValues } from './manifests.ts';
import type { Setting } from './stage.ts';

/** Events a second that are more than so small a request of CPU is for. */
const RATE = 500;

/** Gateways become more while there is load, by their CPU, and no event is lost on the way. */
export async function autoscaling({ stage, cluster, say }: Setting): Promise<void> {
  await stage.until(
    'the cluster measures its pods',
    () =>
      cluster.kubectl(['get', '--raw', '/apis/metrics.k8s.io/v1beta1/pods']).then(
        () => true,
        () => false,
      ),
    60_000,
  );
  await stage.startServices();
  const scaling = { enabled: true, minReplicas: 1, maxReplicas: 3, cpu: 50 };
  await stage.helm('install', fullValues({ gateway: { autoscaling: scaling } }));
  const ready = async () =>
    (await stage.get('deployment', 'app.kubernetes.io/component=gateway'))[0].status.readyReplicas ?? 0;
  assert.equal(await ready(), 1);
  const load = await stage.startLoad('load', RATE);
  await load.phase('scaled');
  await stage.until('there are three gateways', async () => (await ready()) === 3, 300_000);
  const [scaler] = await stage.get('hpa');
  say(`CPU ${JSON.stringify(scaler.status.currentMetrics?.[0]?.resource?.current)}: three gateways`);
  const result = await load.stop();
  say(JSON.stringify(result.phases));
  judge(result, []);
  await stage.uninstall();
}
