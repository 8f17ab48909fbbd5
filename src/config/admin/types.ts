import type { Address } from '../values/address.ts';
import type { AdminDocument } from './shape.ts';

/** As in the document, with `hosts` in lower case. */
export type AdminConfig = Omit<AdminDocument, 'listen'> & { listen: Address };
