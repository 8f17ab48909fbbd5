import { isLoopback } from '../core/host.ts';
import { adminWeaknesses } from './admin/check.ts';
import type { Config } from './config.ts';
import { dedupeWeaknesses } from './dedupe/check.ts';
import { functionWeaknesses } from './function/check.ts';
import { logWeaknesses } from './log/check.ts';
import { sourceWeaknesses } from './source/check.ts';
import type { Weakness } from './values/weakness.ts';
import { callsOf } from './workflow/types.ts';

/** Settings that are too weak for a gateway that strangers can reach. */
export function weaknesses(config: Config): Weakness[] {
  const { gateway, admin, log, dedupe, sources, subscriptions, workflows } = config;
  // A gateway behind a proxy of the same host is public, although it listens on loopback.
  const isPublic = !isLoopback(gateway.listen.host) || gateway.proxies.length > 0;
  return [
    ...sourceWeaknesses([...sources.values()], isPublic),
    ...logWeaknesses(log),
    ...dedupeWeaknesses(dedupe),
    ...[...subscriptions.values()].flatMap((subscription) =>
      functionWeaknesses(['subscriptions', subscription.name, 'function'], subscription.function),
    ),
    ...[...workflows.values()]
      .flatMap(callsOf)
      .flatMap(([path, call]) => [
        ...functionWeaknesses([...path, 'function'], call.function),
        ...(call.undo === null ? [] : functionWeaknesses([...path, 'undo'], call.undo)),
      ]),
    ...adminWeaknesses(admin),
  ];
}
