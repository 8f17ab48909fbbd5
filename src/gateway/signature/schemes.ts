import type { VerifyConfig } from '../../config/source/types.ts';
import type { SignatureCheck } from './check.ts';
import { deviceCheck } from './device.ts';
import { standardCheck } from './standard.ts';
import { stripeCheck } from './stripe.ts';
import { templateCheck } from './template.ts';
import { twitterCheck } from './twitter.ts';

/** How an HMAC is made and where it stands: all of a `verify` of scheme `hmac` but its secrets and its tolerance. */
type Template = Pick<
  VerifyConfig,
  'header' | 'hash' | 'encoding' | 'prefix' | 'template' | 'timestamp' | 'id'
>;

const BODY: Template = {
  header: null,
  hash: 'sha256',
  encoding: 'hex',
  prefix: '',
  template: '{body}',
  timestamp: null,
  id: null,
};
/** GitHub also sends a SHA-1 signature, which is too weak to be checked. */
const GITHUB: Template = {
  ...BODY,
  header: 'x-hub-signature-256',
  prefix: 'sha256=',
  id: 'x-github-delivery',
};
const SHOPIFY: Template = {
  ...BODY,
  header: 'x-shopify-hmac-sha256',
  encoding: 'base64',
  id: 'x-shopify-webhook-id',
};
const SLACK: Template = {
  ...BODY,
  header: 'x-slack-signature',
  prefix: 'v0=',
  template: 'v0:{timestamp}:{body}',
  timestamp: 'x-slack-request-timestamp',
};
const TWITTER: Template = {
  ...BODY,
  header: 'x-twitter-webhooks-signature',
  encoding: 'base64',
  prefix: 'sha256=',
};

/** The check that a source's `verify` describes. */
export function makeSignatureCheck(config: VerifyConfig): SignatureCheck {
  switch (config.scheme) {
    case 'standard':
    case 'svix':
      return standardCheck(config);
    case 'stripe':
      return stripeCheck(config);
    case 'github':
      return templateCheck({ ...config, ...GITHUB });
    case 'shopify':
      return templateCheck({ ...config, ...SHOPIFY });
    case 'slack':
      return templateCheck({ ...config, ...SLACK });
    case 'twitter':
      return twitterCheck(config.secrets, templateCheck({ ...config, ...TWITTER }));
    case 'hmac':
      return templateCheck(config);
    case 'device':
      return deviceCheck(config);
  }
}
