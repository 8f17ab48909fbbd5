import * as bodies from './bodies.ts';
import type { Route } from './routes.ts';
import * as routes from './routes.ts';
import { deaf, flood, hold, type Sender } from './senders.ts';
import * as wire from './wire.ts';

/** An attack of a stranger. Attacks are data: the caller gives the time and the routes. */
export interface Attack {
  name: string;
  /** The project that is attacked; default `full`. */
  project?: 'full' | 'bare';
  routes: Route[];
  /** One request, or its beginning; `salt` makes its ids its own. */
  wire(route: Route, salt: string): Buffer;
  send: Sender;
  /** One request of it alone must not hold up others for more than 50 ms. */
  alone?: boolean;
  /** The only status that a reply may have, but for those that say that there is no room. */
  only?: string;
}

type Make = (route: Route, salt: string) => bodies.Body;

/** One body for all routes that take the like of it: to make it anew for each takes longer than the attack. */
function shared(make: Make): Make {
  const made = new Map<string, bodies.Body>();
  return (route, salt) => {
    const key = `${route.takes} ${salt}`;
    const body = made.get(key) ?? make(route, salt);
    made.set(key, body);
    return body;
  };
}

const posted = (make: Make): Attack['wire'] => {
  const body = shared(make);
  return (route, salt) => wire.post(route, body(route, salt));
};

const bomb = (name: string, make: Make, connections = 60): Attack => ({
  name,
  routes: routes.EVERY,
  wire: posted(make),
  send: flood({ connections }),
});

const bombs: Attack[] = [
  bomb('br that inflates to 8 MiB', bodies.spaces('br')),
  bomb('gzip that inflates to 8 MiB', bodies.spaces('gzip'), 200),
  bomb('zstd that inflates to 8 MiB', bodies.spaces('zstd'), 200),
  bomb('deflate that inflates to 8 MiB', bodies.spaces('deflate'), 200),
  bomb('gzip that inflates to 64 MiB', bodies.spaces('gzip', 64 * 1024 * 1024)),
  bomb('gzip that shrinks to a tenth', (route, salt) => bodies.shrinking(route, salt, 10), 30),
  bomb('gzip that shrinks to a fiftieth', (route, salt) => bodies.shrinking(route, salt, 50), 30),
  bomb('zstd with a window of 128 MiB', bodies.zstdWindow, 200),
  bomb('gzip of empty members', bodies.emptyMembers, 30),
  bomb('gzip named twice', () => ({ ...bodies.spaces('gzip')(), coding: 'gzip, gzip' })),
  {
    ...bomb('br to paths of protocols that nobody uses', bodies.spaces('br')),
    project: 'bare',
    routes: routes.ABSENT,
    only: '404',
  },
];

const EVENTS = [routes.OPEN, routes.RIGHT_KEY, routes.WRONG_KEY];
const SEGMENT = [routes.BATCH_RIGHT, routes.BATCH, routes.BATCH_WRONG];
const BOTH = [...EVENTS, ...SEGMENT, routes.HOOK];

const valued = (name: string, make: Make, to: Route[] = EVENTS): Attack => ({
  name,
  routes: to,
  wire: posted(make),
  send: flood({ connections: 7, rate: 20 }),
  alone: true,
});

const values: Attack[] = [
  valued('JSON of empty objects', bodies.emptyObjects, EVENTS),
  valued('Segment batch of empty objects', bodies.emptyObjects, SEGMENT),
  valued('Segment batch with a large context', bodies.lentContext, SEGMENT),
  valued('NDJSON of empty objects', bodies.linesOfObjects),
  valued('CloudEvents of empty objects', bodies.cloudEvents),
  valued('CBOR of empty maps', bodies.cborMaps),
  valued('CBOR that is too large as JSON', bodies.cborMapsBeyond),
  valued('SenML of empty objects', bodies.senmlRecords, [routes.SENML]),
  valued('SenML of sums', bodies.senmlSums, [routes.SENML]),
  valued('SenML of many labels', bodies.senmlLabels, [routes.SENML]),
  valued('CBOR of tags', bodies.cborTags),
  valued('CBOR of long bytes', bodies.cborBytes),
  valued('lines without anything', bodies.blankLines),
  valued('JSON of arrays 64 deep', bodies.nested, BOTH),
  valued('JSON that a schema refuses', bodies.emptyObjects, [routes.STRICT]),
  valued('uncompressed empty arrays', bodies.emptyArrays, BOTH),
  valued('one event of empty arrays', bodies.oneOfArrays, [...EVENTS, routes.TRACK_RIGHT, routes.TRACK]),
  valued('too many elements', bodies.tooMany, BOTH),
  valued('brackets only', bodies.tooDeep, BOTH),
  valued('numbers of 200,000 digits', bodies.digits, BOTH),
  valued('strings of escapes', bodies.escapes, BOTH),
  valued('many members', bodies.manyMembers, BOTH),
  valued('members named by numbers', bodies.numberedMembers, BOTH),
];

const HELD = [routes.OPEN, routes.RIGHT_KEY, routes.TRACK, routes.TRACK_RIGHT, routes.HOOK, routes.DEVICE];
const held = (name: string, beginning: Attack['wire'], send: Sender): Attack => ({
  name,
  routes: HELD,
  wire: beginning,
  send,
});
const MIB = 1024 * 1024;

const room: Attack[] = [
  held('bodies that are only announced', (route) => wire.announced(route), hold({ connections: 66 })),
  held(
    'bodies without their last byte',
    (route) => wire.announced(route, Buffer.alloc(MIB - 1, ' ')),
    hold({ connections: 66 }),
  ),
  held(
    'a byte a second',
    (route) => wire.announced(route),
    hold({ connections: 66, chunk: Buffer.from(' ') }),
  ),
  held(
    'a kilobyte a second',
    (route) => wire.announced(route),
    hold({ connections: 200, chunk: Buffer.alloc(1024, ' ') }),
  ),
  held(
    'chunks of one byte',
    wire.chunkedHead,
    hold({ connections: 20, chunk: Buffer.from('1\r\n \r\n'.repeat(1400)), every: 100, most: 700 }),
  ),
  held('heads that are half sent', (route) => wire.halfHead(route, 31 * 1024), hold({ connections: 500 })),
  held('heads of many fields', (route) => wire.manyFields(route, 2000), flood({ connections: 100 })),
  held(
    'long paths and queries',
    (route) => wire.get(route, `/pixels/open?${'a&'.repeat(15_000)}`),
    flood({ connections: 100 }),
  ),
];

const replied = (name: string, to: Route[], request: Attack['wire'], send: Sender): Attack => ({
  name,
  routes: to,
  wire: request,
  send,
});
const many = (count: number, one: (n: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, n) => one(n)));
const NONE: Route = { ...routes.OPEN, name: 'no route', open: false };

const replies: Attack[] = [
  replied(
    'wrong lines',
    [routes.OPEN, routes.RIGHT_KEY],
    (route) => wire.post(route, bodies.wrongLines(route, '')),
    flood({ connections: 20, rate: 50 }),
  ),
  replied(
    'replies that nobody reads',
    [routes.OPEN, routes.STRICT],
    (route) => many(10, () => wire.post(route, bodies.refused(route, ''), true)),
    deaf({ connections: 300 }),
  ),
  replied(
    'a thousand requests in one packet',
    [routes.OPEN, routes.TRACK, routes.HOOK],
    (route, salt) => many(1000, (n) => wire.post(route, bodies.small(route, `${salt}-${n}`), n < 999)),
    flood({ connections: 5, rate: 3 }),
  ),
  {
    ...replied(
      "requests to nowhere in each other's wake, whose replies nobody reads",
      [NONE],
      () => Buffer.from('GET /nowhere HTTP/1.1\r\nhost: x\r\nexpect: much\r\n\r\n'.repeat(1500)),
      deaf({ connections: 20 }),
    ),
    only: '404',
  },
  replied(
    'tokens that nobody signed',
    [routes.TOKEN],
    (route) => wire.post(route, bodies.small(route, '')),
    flood({ connections: 50, rate: 500 }),
  ),
  replied(
    'wrong signatures of large bodies',
    [routes.HOOK_WRONG, routes.DEVICE, routes.HMAC],
    (route) => wire.post(route, bodies.noise(route, '')),
    flood({ connections: 60, rate: 100 }),
  ),
  replied(
    'the description, asked for often',
    [{ ...routes.OPEN, name: 'description' }],
    (route) => wire.get(route, '/openapi.json'),
    flood({ connections: 50, rate: 500 }),
  ),
  {
    ...replied(
      'the description by another path',
      [NONE],
      (route) => wire.get(route, '/x/%2e%2e/openapi.json'),
      flood({ connections: 50, rate: 500 }),
    ),
    only: '404',
  },
];

export const attacks: Attack[] = [...bombs, ...values, ...room, ...replies];

/** The attack of this name. Throws when there is none. */
export function attackOf(name: string): Attack {
  const found = attacks.find((attack) => attack.name === name);
  if (found === undefined) throw new Error(`no attack is called ${name}`);
  return found;
}
