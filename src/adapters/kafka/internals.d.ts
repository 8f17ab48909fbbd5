// The parts of kafkajs 2.2.4 (pinned) that have no public name, and what of them is relied on.
declare module 'kafkajs/src/network/requestQueue/index.js' {
  class RequestQueue {
    pending: unknown[];
    scheduleCheckPendingRequests(): void;
  }
  export = RequestQueue;
}
