// The parts of kafkajs 2.2.4 (pinned) that have no public name, and what of them is relied on.
declare module 'kafkajs/src/network/requestQueue/index.js' {
  class RequestQueue {
    pending: unknown[];
    scheduleCheckPendingRequests(): void;
  }
  export = RequestQueue;
}

declare module 'kafkajs/src/broker/index.js' {
  interface Protocol {
    request: { apiVersion: number; encode(): Promise<unknown> };
  }
  class Broker {
    lookupRequest(...names: unknown[]): (values: unknown) => Protocol;
    produce(args: unknown): Promise<unknown>;
  }
  export = Broker;
}

declare module 'kafkajs/src/protocol/encoder.js' {
  class Encoder {
    constructor(initialSize?: number);
    buf: Buffer;
    offset: number;
    writeEncoder(value: Encoder): Encoder;
  }
  export = Encoder;
}

declare module 'kafkajs/src/consumer/batch.js' {
  import type { KafkaMessage } from 'kafkajs';

  class Batch {
    constructor(topic: string, fetchedOffset: string, partitionData: object);
    rawMessages: unknown[];
    messages: KafkaMessage[];
    lastOffset(): string;
  }
  export = Batch;
}

declare module 'kafkajs/src/protocol/decoder.js' {
  class Decoder {
    constructor(buffer: Buffer);
    buffer: Buffer;
    offset: number;
    forward(bytes: number): void;
  }
  export = Decoder;
}
