import { RudderAnalytics } from '@rudderstack/analytics-js/bundled';
import { AnalyticsBrowser } from '@segment/analytics-next';

/** The script of a page with both SDKs; it is bundled for browsers. */
Object.assign(globalThis, { AnalyticsBrowser, RudderAnalytics });
