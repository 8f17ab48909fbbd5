import Broker from 'kafkajs/src/broker/index.js';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import { type ProduceArguments, produceEncoder } from '../core/encode.ts';

/** More bytes than kafkajs puts before a request: size, API, version, correlation id and client id. */
const ROOM = 64;

/** An encoder whose bytes have free ones before them. */
interface Roomy extends Encoder {
  whole?: Buffer;
  room?: number;
}

let patched = false;

/**
 * Has kafkajs send Produce requests in our encoding; the rest of the request's life stays its own. Only the
 * uncompressed form is replaced, in the versions that share one layout (3 to 7).
 */
export function encodeProduceRequests(): void {
  if (patched) return;
  patched = true;
  const encode = produceEncoder();
  takeInPlace();
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
 * Leaves out what was acknowledged already, and empties the lists of what is now: kafkajs tries again with everything
 * when one of several brokers fails, under new sequence numbers, which it advances by the lengths of the lists.
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

/** kafkajs' own carrier of encoded bytes. */
function encoderOf(whole: Buffer): Encoder {
  return hold(new Encoder(1), whole, ROOM);
}

function hold(encoder: Roomy, whole: Buffer, room: number): Encoder {
  encoder.whole = whole;
  encoder.room = room;
  encoder.buf = whole.subarray(room);
  encoder.offset = encoder.buf.length;
  return encoder;
}

/** kafkajs copies a request twice to put its head before it: where there is room, the head goes there instead. */
function takeInPlace(): void {
  const copy = Encoder.prototype.writeEncoder;
  Encoder.prototype.writeEncoder = function (this: Roomy, value: Roomy) {
    const { whole, room } = value;
    if (whole === undefined || room === undefined || room < this.offset) return copy.call(this, value);
    const start = room - this.offset;
    this.buf.copy(whole, start, 0, this.offset);
    return hold(this, whole, start);
  };
}
