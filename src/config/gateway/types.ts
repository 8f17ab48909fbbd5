import type { Address } from '../values/address.ts';
import type { GatewayDocument } from './shape.ts';

/** The limits that `shape.ts` describes: sizes in bytes, times in milliseconds, `bodyRate` in bytes a second. */
export type Limits = Record<keyof GatewayDocument['limits'], number>;

/** As in the document, with `keepAlive` in milliseconds. */
export type GatewayConfig = Omit<GatewayDocument, 'listen' | 'limits' | 'keepAlive'> & {
  listen: Address;
  limits: Limits;
  keepAlive: number;
};
