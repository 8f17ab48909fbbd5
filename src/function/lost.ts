import type { CallFault } from './answer.ts';

type LostError = Error & { code?: string; socket?: { bytesRead?: number } };

/**
 * The fault of a call without a complete answer, by undici's error. `isSent`: the request had a connection.
 * `isAnswered`: an answer had begun.
 */
export function lostFault(error: LostError, isSent: boolean, isAnswered: boolean): CallFault {
  switch (error.code) {
    case 'UND_ERR_INVALID_ARG':
      return 'invalid_call';
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE': {
      // A server may close an idle connection just when a request is sent. That is no failure of the
      // function. On a new connection (no bytes read so far) it is one.
      const isUsed = (error.socket?.bytesRead ?? 1) > 0;
      return isSent && !isAnswered && isUsed ? 'stale_connection' : 'connection_lost';
    }
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return 'aborted';
    default:
      if (!isSent) return 'unreachable';
      // HPE and UND: the parser's and undici's errors about the answer. Others are the system's, about the connection.
      return error.code === undefined || /^(?:HPE|UND)_/.test(error.code) ? 'bad_reply' : 'connection_lost';
  }
}
