import { connect } from 'node:net';

/**
 * Sends raw bytes over a socket of its own and collects what comes back until the peer closes, or until
 * `until` says that it is enough.
 */
export function rawExchange(
  port: number,
  parts: (string | Uint8Array)[],
  until: (text: string) => boolean = () => false,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('connect', () => {
      for (const part of parts) socket.write(part);
    });
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (until(text)) {
        socket.destroy();
        resolve(text);
      }
    });
    socket.on('close', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // The server may close while we still write: what it said counts.
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error);
    });
  });
}

/** True once a whole reply with a Content-Length is there. */
export function wholeReply(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const length = /content-length: (\d+)/i.exec(text.slice(0, head));
  return length !== null && text.length >= head + 4 + Number(length[1]);
}
