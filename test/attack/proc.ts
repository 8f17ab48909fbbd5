import { readFileSync, writeFileSync } from 'node:fs';

/** Figures of a process and its sockets, from Linux. */

/** MiB of memory that a process had at most since `resetPeak`; null when it is no more. */
export function peakMemory(pid: number): number | null {
  try {
    const found = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return found === null ? null : Number(found[1]) / 1024;
  } catch {
    return null;
  }
}

export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // It is no more, as will be seen.
  }
}

const LISTENING = '0A';

/** Sockets of a port that a process still owns and whose other side has one of these IPv4 addresses. */
export function ownedSockets(port: number, addresses: string[]): number {
  const wanted = new Set(addresses.map(hexOf));
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  return lines.filter((line) => {
    const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
    if (local === undefined || state === LISTENING || inode === '0') return false;
    return local.endsWith(`:${hexPort(port)}`) && wanted.has(remote!.split(':')[0]!);
  }).length;
}

/** As /proc writes it: the bytes of an IPv4 address in the machine's order. */
function hexOf(address: string): string {
  const bytes = address.split('.').map(Number).reverse();
  return Buffer.from(bytes).toString('hex').toUpperCase();
}

function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}
