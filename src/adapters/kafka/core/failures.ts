/** Rejects when `work` is not done after `ms` milliseconds, or when the signal aborts. The work itself goes on. */
export async function within<T>(ms: number, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  const onAbort = () => reject(new Error('closed meanwhile'));
  signal?.addEventListener('abort', onAbort);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** The innermost `cause`. The outer errors of a client library only say that it gave up. */
export function rootCause(error: unknown): Error {
  let cause = error instanceof Error ? error : new Error(String(error));
  while (cause.cause instanceof Error) cause = cause.cause;
  return cause;
}
