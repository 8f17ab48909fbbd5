/** Functions that tests run inside a page: they may use nothing but their argument and the page. */

/** The parts of the browser that scripts of pages use. The rest of the code has no types of the DOM. */
export interface PageWindow {
  addEventListener(event: 'pagehide', listener: () => void): void;
  navigator: { sendBeacon(url: string, body: string | Blob | FormData | URLSearchParams): boolean };
  localStorage: { getItem(name: string): string | null; setItem(name: string, value: string): void };
  Image: new () => { onload: () => void; onerror: () => void; src: string; referrerPolicy: string };
}

/** When the page goes away it sends events in beacons, and notes the ids of those that were taken. */
export function sendOnHide({
  url,
  beacons,
  each,
  filler,
}: {
  url: string;
  beacons: number;
  each: number;
  filler: number;
}) {
  const { addEventListener, navigator, localStorage } = globalThis as unknown as PageWindow;
  addEventListener('pagehide', () => {
    const taken: string[] = [];
    for (let n = 0; n < beacons; n++) {
      const events = Array.from({ length: each }, (_, i) => ({
        id: `${n}.${i}`,
        filler: 'x'.repeat(filler),
      }));
      if (navigator.sendBeacon(url, JSON.stringify(events))) taken.push(...events.map(({ id }) => id));
    }
    localStorage.setItem('taken', JSON.stringify(taken));
  });
}

/** A beacon of each kind of body; tells which the browser took. */
export function sendKinds({ url, who }: { url: string; who: string }): boolean[] {
  const { navigator } = globalThis as unknown as PageWindow;
  const form = new FormData();
  form.set('id', 'multipart');
  return [
    navigator.sendBeacon(url, JSON.stringify({ id: `${who}-string` })),
    navigator.sendBeacon(url, new Blob([JSON.stringify({ id: `${who}-text` })], { type: 'text/plain' })),
    navigator.sendBeacon(
      url,
      new Blob([JSON.stringify({ id: `${who}-json` })], { type: 'application/json' }),
    ),
    navigator.sendBeacon(url, new URLSearchParams({ id: 'form' })),
    navigator.sendBeacon(url, form),
  ];
}

interface Asked {
  url: string;
  body: string;
  headers?: Record<string, string>;
}

/** The parts of a reply that a script can see. */
export async function ask({ url, body, headers = {} }: Asked) {
  const reply = await fetch(url, { method: 'POST', credentials: 'include', body, headers });
  const { type, status, detail } = (await reply.json()) as Record<string, unknown>;
  const code = String(type).replace('urn:postern:problem:', '');
  const told = typeof detail === 'string' && detail.length > 0;
  return {
    status: reply.status,
    same: status === reply.status,
    code,
    told,
    wait: reply.headers.get('retry-after'),
  };
}

/** Resolves with the event that an image of this address fires. */
export function showImage({ url, policy }: { url: string; policy: string }): Promise<'load' | 'error'> {
  const { Image } = globalThis as unknown as PageWindow;
  return new Promise((resolve) => {
    const image = new Image();
    image.referrerPolicy = policy;
    image.onload = () => resolve('load');
    image.onerror = () => resolve('error');
    image.src = url;
  });
}

/** The common part of both SDKs. `done` is called when a call is sent, or is in the queue. */
interface Sdk {
  page(category: string, name: string, properties: object, options: object, done: () => void): unknown;
  identify(user: string, traits: object, options: object, done: () => void): unknown;
  track(event: string, properties: object, options?: object, done?: () => void): unknown;
}

/** The globals that the bundle of SDKs puts into a page. `sdk` is the one that was loaded. */
export interface SdkWindow {
  AnalyticsBrowser: { load(settings: object, options: object): Sdk };
  RudderAnalytics: new () => Sdk & { load(key: string, url: string, options: object): void };
  sdk: Sdk;
}

/** Loads an SDK for a write key of the gateway; `options` are the SDK's own. */
export function loadSdk({
  name,
  key,
  url,
  settings = {},
  options = {},
}: {
  name: 'segment' | 'rudder';
  key: string;
  url: string;
  settings?: object;
  options?: object;
}): void {
  const page = globalThis as unknown as SdkWindow;
  if (name === 'segment') {
    page.sdk = page.AnalyticsBrowser.load({ writeKey: key, cdnURL: url, ...settings }, options);
    return;
  }
  const rudder = new page.RudderAnalytics();
  rudder.load(key, url, { configUrl: url, ...options });
  page.sdk = rudder;
}

/** Makes calls `from` up to, not including, `to` without waiting for any. */
export function trackMany({ from, to }: { from: number; to: number }): void {
  const { sdk } = globalThis as unknown as SdkWindow;
  for (let n = from; n < to; n++) void sdk.track('Clicked', { n });
}
