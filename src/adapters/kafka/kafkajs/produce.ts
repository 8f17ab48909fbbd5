import crc32c from 'crc-32/crc32c.js';
import Broker from 'kafkajs/src/broker/index.js';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import { produceEncoder } from '../core/encode.ts';
import type { ProduceArguments } from '../core/produce-request.ts';

/** More bytes than kafkajs puts before a request: size, API, version, correlation id and client id. */
const ROOM = 64;

/** An encoder with `room` free bytes in `whole` before its own. */
interface Roomy extends Encoder {
  whole?: Buffer;
  room?: number;
}

/**
 * Makes kafkajs encode uncompressed Produce requests with `produceEncoder`, in the versions that share one layout (3 to
 * 7). Everything else about a request stays kafkajs' own.
 */
export function encodeProduceRequests(): void {
  const encode = produceEncoder((bytes) => crc32c.buf(bytes));
  writeHeadsInPlace();
  const original = Broker.prototype.produce;
  Broker.prototype.produce = function (args) {
    const { lookupRequest } = this;
    const broker = Object.create(this, {
      lookupRequest: {
        value: (...names: unknown[]) => {
          const make = lookupRequest(...names);
          return (values: ProduceArguments & { compression?: number; transactionalId?: string | null }) => {
            const made = make(values);
            const { apiVersion } = made.request;
            const plain =
              !values.compression && !values.transactionalId && apiVersion >= 3 && apiVersion <= 7;
            if (plain) made.request.encode = async () => encoderOf(encode(values, ROOM));
            return made;
          };
        },
      },
    });
    return produceOnce(args as ProduceRequest, (left) => original.call(broker, left));
  };
}

type ProduceRequest = Pick<ProduceArguments, 'topicData'>;

/**
 * Sends only the partitions that have messages left, and empties the lists that a broker acknowledges. When one of
 * several brokers fails, kafkajs sends everything again under new sequence numbers, which would store records twice. It
 * advances those numbers by the lengths of the lists.
 */
async function produceOnce<T extends ProduceRequest>(
  args: T,
  send: (left: T) => Promise<unknown>,
): Promise<unknown> {
  const topicData = args.topicData
    .map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.filter(({ messages }) => messages.length > 0),
    }))
    .filter(({ partitions }) => partitions.length > 0);
  if (topicData.length === 0) return { topics: [], throttleTime: 0 };
  const response = await send({ ...args, topicData });
  for (const { partitions } of topicData) for (const { messages } of partitions) messages.length = 0;
  return response;
}

/** Encoded bytes in the form that kafkajs sends. */
function encoderOf(whole: Buffer): Encoder {
  return setBytes(new Encoder(1), whole, ROOM);
}

function setBytes(encoder: Roomy, whole: Buffer, room: number): Encoder {
  encoder.whole = whole;
  encoder.room = room;
  encoder.buf = whole.subarray(room);
  encoder.offset = encoder.buf.length;
  return encoder;
}

/** kafkajs copies a request twice to put a head before it. Where there is room, the head is written there instead. */
function writeHeadsInPlace(): void {
  const copy = Encoder.prototype.writeEncoder;
  Encoder.prototype.writeEncoder = function (this: Roomy, value: Roomy) {
    const { whole, room } = value;
    if (whole === undefined || room === undefined || room < this.offset) return copy.call(this, value);
    const start = room - this.offset;
    this.buf.copy(whole, start, 0, this.offset);
    return setBytes(this, whole, start);
  };
}
