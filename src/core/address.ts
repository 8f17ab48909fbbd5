import ipaddr from 'ipaddr.js';

type Ip = ipaddr.IPv4 | ipaddr.IPv6;

/** What a request says of where it comes from. */
export interface Origin {
  /** The other end of the connection; undefined when unknown. */
  peer: string | undefined;
  /**
   * A header field by its lower-case name. Asked for `x-forwarded-for`: client first, each proxy appends the address
   * that it heard from; and for `forwarded` (RFC 7239) when there is no such field.
   */
  header(name: string): string | undefined;
}

/** Proxies in a row; more are not looked through. */
const MAX_HOPS = 16;
/** Bits that are kept of a truncated address. */
const KEPT = { ipv4: 24, ipv6: 48 };

/**
 * Makes the function that tells a client's address: that of the peer, or, while the sender is one of the proxies (addresses
 * and CIDR ranges), the one that it names. Null when a proxy names none that can be read.
 */
export function makeClientAddress(
  proxies: string[],
  shown: 'truncated' | 'full',
): (origin: Origin) => string | null {
  const clientOf = makeClient(proxies);
  return (origin) => {
    const ip = clientOf(origin);
    return ip === null ? null : (shown === 'full' ? ip : truncated(ip)).toString();
  };
}

/**
 * Makes the function that tells whose share of a limit a request takes: its client's. A proxy that names no client
 * takes a share of its own. Null when nothing is known.
 */
export function makeClientGroup(proxies: string[]): (origin: Origin) => string | null {
  const clientOf = makeClient(proxies);
  return (origin) => {
    const { peer } = origin;
    if (peer === undefined) return null;
    const ip = proxies.length === 0 ? null : clientOf(origin);
    return addressGroup(ip === null ? peer : ip.toString());
  };
}

function makeClient(proxies: string[]): (origin: Origin) => Ip | null {
  const isProxy = inRanges(proxies);

  return ({ peer, header }) => {
    let ip = peer === undefined ? null : parseIp(peer);
    if (ip === null || !isProxy(ip)) return ip;
    const forwardedFor = header('x-forwarded-for');
    const list = forwardedFor ?? header('forwarded');
    if (list === undefined) return ip;
    const name = forwardedFor === undefined ? forNode : (text: string) => text;
    // From the right: what is left of the first address that is no proxy is the client's own word.
    let end = list.length;
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      const comma = list.lastIndexOf(',', end - 1);
      const node = name(list.slice(comma + 1, end).trim());
      ip = node === null ? null : parseNode(node);
      if (ip === null || comma <= 0 || !isProxy(ip)) return ip;
      end = comma;
    }
    return null;
  };
}

/** Makes the test whether an address is one of these (addresses and CIDR ranges). */
export function makeAddressTest(texts: string[]): (address: string) => boolean {
  if (texts.length === 0) return () => false;
  const isIn = inRanges(texts);
  return (address) => {
    const ip = parseIp(address);
    return ip !== null && isIn(ip);
  };
}

/** What counts as one client among addresses: an IPv4 address, or the /64 of an IPv6 one. */
export function addressGroup(address: string): string {
  if (!address.includes(':')) return address;
  const ip = parseIp(address);
  if (ip === null || ip.kind() === 'ipv4') return String(ip ?? address);
  return `${(ip as ipaddr.IPv6).parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}

function inRanges(texts: string[]): (ip: Ip) => boolean {
  const ranges = texts.map(rangeOf);
  return (ip) => ranges.some(([range, bits]) => range.kind() === ip.kind() && ip.match(range, bits));
}

/** An address, IPv6 without a zone, IPv4 in IPv6 as IPv4; null for anything else. */
function parseIp(text: string): Ip | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  const zone = text.indexOf('%');
  const plain = zone < 0 ? text : text.slice(0, zone);
  if (!plain.includes(':') || plain.length > 45 || !ipaddr.IPv6.isValid(plain)) return null;
  const ip = ipaddr.IPv6.parse(plain);
  return ip.isIPv4MappedAddress() ? ip.toIPv4Address() : ip;
}

/** An address with or without a port, IPv6 perhaps in brackets (RFC 7239 section 6). */
function parseNode(text: string): Ip | null {
  if (text.startsWith('[')) {
    const match = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text);
    return match === null ? null : parseIp(match[1]!);
  }
  const colon = text.indexOf(':');
  if (colon < 0 || colon !== text.lastIndexOf(':')) return parseIp(text);
  return /^\d{1,5}$/.test(text.slice(colon + 1)) ? parseIp(text.slice(0, colon)) : null;
}

/** The `for` parameter of an element of the Forwarded field (RFC 7239 section 4); null when it has none. */
function forNode(element: string): string | null {
  for (const pair of element.split(';')) {
    const match = /^\s*for\s*=\s*(?:"([^"\\]*)"|([^\s"]*))\s*$/i.exec(pair);
    if (match !== null) return match[1] ?? match[2]!;
  }
  return null;
}

function rangeOf(text: string): [Ip, number] {
  const [ip, bits] = text.includes('/') ? ipaddr.parseCIDR(text) : [ipaddr.parse(text), 128];
  if (ip.kind() === 'ipv4') return [ip, Math.min(bits, 32)];
  const six = ip as ipaddr.IPv6;
  if (six.isIPv4MappedAddress() && bits >= 96) return [six.toIPv4Address(), bits - 96];
  return [six, bits];
}

function truncated(ip: Ip): Ip {
  const bytes = ip.toByteArray();
  return ipaddr.fromByteArray(bytes.fill(0, KEPT[ip.kind()] / 8));
}
