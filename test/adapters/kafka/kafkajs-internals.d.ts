// The parts of kafkajs that only tests compare ours with.
declare module 'kafkajs/src/protocol/requests/produce/v7/request.js' {
  const request: (values: object) => { encode(): Promise<{ buffer: Buffer }> };
  export = request;
}

declare module 'kafkajs/src/utils/long.js' {
  const Long: { fromValue(value: string): object };
  export = Long;
}

declare module 'kafkajs/src/protocol/recordBatch/v0/decoder.js' {
  import type { KafkaMessage } from 'kafkajs';
  import type Decoder from 'kafkajs/src/protocol/decoder.js';

  type Record = KafkaMessage & { isControlRecord: boolean; batchContext: { producerId: string } };
  const decode: (decoder: Decoder) => Promise<{ records: Record[] }>;
  export = decode;
}
