import { BUSY, type Connection, SILENT } from './connection.ts';

/** Milliseconds from the beginning of a stop. */
export interface CloseTimes {
  /** Until an idle connection is closed: a request may be on its way on it. */
  idle: number;
  /** Until a connection is closed whose request is incomplete, or whose answer is not read. */
  stalled: number;
}

/** The same as times of `performance.now()`; `silent` is for connections that have sent no head yet. */
export interface CloseDeadlines extends CloseTimes {
  silent: number;
}

/** For the head of a request that is on its way on a new connection. */
const SILENT_MS = 1000;

export function closeDeadlines({ idle, stalled }: CloseTimes, now: number): CloseDeadlines {
  return { silent: now + Math.min(idle, SILENT_MS), idle: now + idle, stalled: now + stalled };
}

/** Whether a stop waits no longer for the connection. A request that has arrived whole is always answered. */
export function isOver(
  { rank, request, socket }: Connection,
  { silent, idle, stalled }: CloseDeadlines,
  now: number,
): boolean {
  if (rank === BUSY) return now >= stalled && (!request!.complete || socket.writableLength > 0);
  return now >= (rank === SILENT ? silent : idle);
}
