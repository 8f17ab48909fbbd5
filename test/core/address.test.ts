import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { addressGroup, makeAddressTest, makeClientAddress, type Origin } from '../../src/core/address.ts';
import { type Harness, startGateway } from '../gateway/harness.ts';

const PROXIES = ['10.0.0.0/8', '192.168.7.7', '2001:db8:aaaa::/48', '::ffff:172.16.0.0/108'];
const full = makeClientAddress(PROXIES, 'full');
const truncated = makeClientAddress(PROXIES, 'truncated');
const origin = (peer: string | undefined, forwardedFor?: string, forwarded?: string): Origin => ({
  peer,
  header: (name) => (name === 'forwarded' ? forwarded : forwardedFor),
});

describe('the client of a request', () => {
  it.each([
    // peer, X-Forwarded-For, client
    ['203.0.113.9', undefined, '203.0.113.9'],
    ['203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['10.1.2.3', undefined, '10.1.2.3'],
    ['10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['::ffff:203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['172.31.0.1', '198.51.100.1', '198.51.100.1'],
    ['172.32.0.1', '198.51.100.1', '172.32.0.1'],
    ['192.168.7.7', '198.51.100.1', '198.51.100.1'],
    ['192.168.7.8', '198.51.100.1', '192.168.7.8'],
    ['10.1.2.3', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['10.1.2.3', '1.1.1.1,198.51.100.1 , 10.9.9.9,192.168.7.7', '198.51.100.1'],
    ['10.1.2.3', '10.0.0.1, 10.0.0.2', '10.0.0.1'],
    ['10.1.2.3', '198.51.100.1:4711', '198.51.100.1'],
    ['2001:db8:aaaa::1', '[2001:db8:ffff::5]:443', '2001:db8:ffff::5'],
    ['2001:db8:aaaa::1', '2001:DB8:FFFF:0:0:0:0:5', '2001:db8:ffff::5'],
    ['10.1.2.3', '::ffff:198.51.100.1', '198.51.100.1'],
    ['fe80::1%eth0', '198.51.100.1', 'fe80::1'],
    // Words of a client before a good address count for nothing.
    ['10.1.2.3', 'garbage, ${jndi:x}, 198.51.100.1', '198.51.100.1'],
    // A proxy that names nobody.
    ['10.1.2.3', 'garbage', null],
    ['10.1.2.3', '', null],
    ['10.1.2.3', 'unknown', null],
    ['10.1.2.3', '198.51.100.1,', null],
    ['10.1.2.3', '198.51.100.1, 127.1', null],
    ['10.1.2.3', '0x7f000001', null],
    ['10.1.2.3', '2130706433', null],
    ['10.1.2.3', '010.0.0.1', null],
    ['10.1.2.3', '198.51.100.256', null],
    ['10.1.2.3', '198.51.100.1:x', null],
    ['10.1.2.3', '[2001:db8::1', null],
    ['10.1.2.3', '198.51.100.1 10.0.0.1', null],
    [undefined, '198.51.100.1', null],
  ])('peer %s, X-Forwarded-For %s: %s', (peer, forwardedFor, client) => {
    expect(full(origin(peer, forwardedFor))).toBe(client);
  });

  it.each([
    ['for=198.51.100.1', '198.51.100.1'],
    ['For="198.51.100.1:80";proto=https;by=10.0.0.1', '198.51.100.1'],
    ['proto=http; for = "[2001:db8:ffff::5]:47011"', '2001:db8:ffff::5'],
    ['for=1.1.1.1, for=198.51.100.1, for=10.0.0.4', '198.51.100.1'],
    ['for="1.1.1.1, for=198.51.100.1', '198.51.100.1'],
    ['for=unknown', null],
    ['for=_hidden', null],
    ['by=198.51.100.1', null],
    ['xfor=198.51.100.1', null],
    ['', null],
  ])('Forwarded %s: %s', (forwarded, client) => {
    expect(full(origin('10.1.2.3', undefined, forwarded))).toBe(client);
    expect(full(origin('203.0.113.9', undefined, forwarded))).toBe('203.0.113.9');
    expect(full(origin('10.1.2.3', '198.51.100.77', forwarded))).toBe('198.51.100.77');
  });

  it('is cut to a network', () => {
    expect(truncated(origin('203.0.113.9'))).toBe('203.0.113.0');
    expect(truncated(origin('2001:db8:1234:5678:9abc:def0:1234:5678'))).toBe('2001:db8:1234::');
    expect(truncated(origin('::ffff:203.0.113.9'))).toBe('203.0.113.0');
    expect(truncated(origin('10.1.2.3', 'x'))).toBeNull();
  });

  it('is not looked for behind more proxies than there can be', () => {
    const behind = (hops: number) => `198.51.100.1${', 10.0.0.1'.repeat(hops)}`;
    expect(full(origin('10.1.2.3', behind(10)))).toBe('198.51.100.1');
    expect(full(origin('10.1.2.3', behind(3000)))).toBeNull();
  });

  it('never depends on what a client writes before the address that the proxy saw', () => {
    const text = fc.string({ unit: fc.constantFrom(...'0123456789abcdef.:,;="[]% for\\') });
    fc.assert(
      fc.property(text, fc.ipV4(), (words, ip) => {
        const client = ip.startsWith('10.') || ip === '192.168.7.7' || /^172\.(1[6-9]|2\d|3[01])\./.test(ip);
        fc.pre(!client);
        expect(full(origin('10.1.2.3', `${words}, ${ip}`))).toBe(ip);
        expect(full(origin('10.1.2.3', undefined, `${words}, for=${ip}`))).toBe(ip);
      }),
    );
  });
});

describe('on records', () => {
  const YAML = (extra: string) => `
gateway: { proxies: [127.0.0.1], ${extra} }
sources:
  s: { protocol: events, topic: s, id: [/id] }
`;
  let plain: Harness;
  let cut: Harness;
  beforeAll(async () => {
    [plain, cut] = await Promise.all([
      startGateway({ yaml: YAML('') }),
      startGateway({ yaml: YAML('clientAddress: truncated') }),
    ]);
  });
  afterAll(() => Promise.all([plain.close(), cut.close()]));

  async function send({ url }: Harness, body: string, headers: Record<string, string> = {}): Promise<void> {
    const reply = await fetch(`${url}/events/s`, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'x-forwarded-for': '1.1.1.1, 198.51.100.77',
        ...headers,
      },
    });
    expect([202, 207, 422]).toContain(reply.status);
  }
  const binary = (id: string) => ({
    'ce-id': id,
    'ce-source': '/c',
    'ce-type': 't',
    'ce-specversion': '1.0',
    'ce-clientip': '9.9.9.9',
  });
  async function addresses(gateway: Harness, topic: string): Promise<(string | null)[]> {
    const records = await gateway.read(topic);
    const text = (value: string | Uint8Array | undefined) =>
      value === undefined ? null : Buffer.from(value).toString();
    return records.map(({ headers }) => text(headers.ce_clientip)).sort();
  }

  it('is an attribute of all events, rejected ones too, and not what a client says', async () => {
    await send(cut, '[{"id":"a"},{"id":"b"},{"no":"id"}]');
    await send(cut, '{}', binary('c'));
    await send(cut, '{}', { ...binary('d'), 'x-forwarded-for': 'nobody' });
    expect(await addresses(cut, 's')).toEqual(['198.51.100.0', '198.51.100.0', '198.51.100.0', null]);
    expect(await addresses(cut, 's.rejected')).toEqual(['198.51.100.0']);
  });

  it('is nowhere unless asked for', async () => {
    await send(plain, '{"id":"a"}');
    expect(await addresses(plain, 's')).toEqual([null]);
  });
});

test('what counts as one client: an IPv4 address however it is written, and a /64', () => {
  expect(
    ['192.0.2.1', '::ffff:192.0.2.1', '2001:db8:1:2::7', '2001:db8:1:2:ffff::', 'fe80::1%eth0', '::1'].map(
      addressGroup,
    ),
  ).toEqual([
    '192.0.2.1',
    '192.0.2.1',
    '2001:db8:1:2::/64',
    '2001:db8:1:2::/64',
    'fe80:0:0:0::/64',
    '0:0:0:0::/64',
  ]);
});

test('whether an address is one of those that are listed', () => {
  const isListed = makeAddressTest(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32']);
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.1', '2001:db8::1'])
    expect([address, isListed(address)]).toEqual([address, true]);
  for (const address of ['11.0.0.1', '192.0.2.2', '2001:db9::1', 'nonsense'])
    expect([address, isListed(address)]).toEqual([address, false]);
  expect(makeAddressTest([])('10.1.2.3')).toBe(false);
});
