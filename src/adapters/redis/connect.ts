import { Redis } from 'ioredis';

/**
 * A client that connects in the background, for as long as it takes. Commands reject at once while there is no
 * connection and are never sent twice. `timeout`: milliseconds that a command may take.
 */
export function connect(url: string, timeout: number): Redis {
  return new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    commandTimeout: timeout,
    disconnectTimeout: 100,
    maxLoadingRetryTime: 1_000,
    retryStrategy: backoff,
    // A server that was demoted or lost its primary keeps answering so until the address is resolved again.
    reconnectOnError: (error) => /\b(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN)\b/.test(error.message),
  });
}

/** Milliseconds before the next attempt to connect: from 50 to 2000, doubling, half of it random. */
function backoff(attempt: number): number {
  const full = Math.min(2_000, 50 * 2 ** (attempt - 1));
  return (full + Math.random() * full) / 2;
}
