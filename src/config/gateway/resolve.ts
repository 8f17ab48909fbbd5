import { readAddress } from '../values/address.ts';
import { readRange } from '../values/check.ts';
import type { Reader } from '../values/reader.ts';
import { readLimits } from './limits.ts';
import type { GatewayDocument } from './shape.ts';
import type { GatewayConfig } from './types.ts';

/** Makes the gateway's config of its document, and checks each value on its own. */
export function readGateway(raw: GatewayDocument, reader: Reader): GatewayConfig {
  const { findings, time } = reader;
  return {
    ...raw,
    listen: readAddress(findings, ['gateway', 'listen'], raw.listen),
    limits: readLimits(raw.limits, reader),
    proxies: raw.proxies.map((text, index) => readRange(findings, ['gateway', 'proxies', index], text)),
    keepAlive: time(['gateway', 'keepAlive'], raw.keepAlive),
  };
}
