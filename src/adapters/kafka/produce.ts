import Broker from 'kafkajs/src/broker/index.js';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import { type ProduceArguments, produceEncoder } from './encode.ts';

let patched = false;

/**
 * Has kafkajs send Produce requests in our encoding; the rest of the request's life stays its own. Only the
 * uncompressed form is replaced, in the versions that share one layout (3 to 7).
 */
export function encodeProduceRequests(): void {
  if (patched) return;
  patched = true;
  const encode = produceEncoder();
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
            if (plain) made.request.encode = async () => encoderOf(encode(values));
            return made;
          };
        },
      },
    });
    return original.call(broker, args);
  };
}

/** kafkajs' own carrier of encoded bytes. */
function encoderOf(bytes: Buffer): Encoder {
  const encoder = new Encoder(1);
  encoder.buf = bytes;
  encoder.offset = bytes.length;
  return encoder;
}
