import type { Findings } from '../text/findings.ts';
import { checkOrigin } from '../values/check.ts';
import { checkLimits } from './limits.ts';
import type { GatewayConfig } from './types.ts';

/** Checks settings of the gateway against each other. */
export function checkGateway({ limits, cors }: GatewayConfig, findings: Findings): void {
  checkLimits(limits, findings);
  for (const [index, origin] of cors.origins.entries()) {
    const path = ['gateway', 'cors', 'origins', index];
    if (origin === '*' && cors.credentials)
      findings.error(path, '* cannot go with credentials; name the origins');
    if (origin !== '*') checkOrigin(findings, path, origin);
  }
}
