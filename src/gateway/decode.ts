import { foreignCharset, isJsonType, mediaType } from '../cloudevents/content-type.ts';
import { binaryHeader } from '../cloudevents/read.ts';
import type { VerifyConfig } from '../config/source/types.ts';
import { RequestError } from '../core/errors.ts';
import { decodeCbor, decodeSenmlCbor } from './formats/cbor.ts';
import { decodeBatch, decodeBinary, decodeStructured } from './formats/cloudevents.ts';
import { decodeJson, decodeLines, withoutMark } from './formats/json.ts';
import { decodeSenml } from './formats/senml.ts';
import type { DecodeContext, Decoding } from './formats/source.ts';

const LINES = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
  'application/jsonlines',
]);

/** The media types that a source takes, one for each format. */
export const EVENT_TYPES = [
  'application/json',
  'text/plain',
  'application/x-ndjson',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'application/senml+json',
  'application/senml+cbor',
  'application/cbor',
];

/** The formats that a signed body may have. No bytes are valid in two formats of one line: CBOR is never JSON. */
const SIGNED: Record<VerifyConfig['format'], Format[]> = {
  json: ['json', 'cbor'],
  lines: ['lines'],
  cloudevents: ['structured', 'batch'],
  senml: ['senml', 'senml-cbor'],
};

export type Format = 'json' | 'lines' | 'structured' | 'batch' | 'binary' | 'senml' | 'senml-cbor' | 'cbor';

/**
 * The format that a request's headers name. CloudEvents modes in the order of the HTTP binding (section 3),
 * then JSON. Throws RequestError `unsupported_type` or `unsupported_charset`.
 */
function formatOf(contentType: string | undefined, header: (name: string) => string | undefined): Format {
  const type = contentType === undefined ? '' : mediaType(contentType);
  if (type.startsWith('application/cloudevents')) {
    checkCharset(contentType!);
    if (type === 'application/cloudevents-batch+json') return 'batch';
    if (type === 'application/cloudevents+json') return 'structured';
    throw unsupported(type);
  }
  if (binaryHeader((name) => header(name) !== undefined) !== undefined) {
    if (isJsonType(type)) checkCharset(contentType!);
    return 'binary';
  }
  if (type === 'application/cbor') return 'cbor';
  if (type === 'application/senml+cbor') return 'senml-cbor';
  if (contentType !== undefined) checkCharset(contentType);
  if (type === 'application/senml+json') return 'senml';
  if (type === '' || type === 'text/plain' || isJsonType(type)) return 'json';
  if (LINES.has(type)) return 'lines';
  throw unsupported(type);
}

/**
 * The format of a request to a source that may want signatures (`verify`). No signature covers the headers, so they
 * must not change the meaning of signed bytes: the config tells their format, and attributes in headers are refused.
 * Throws as `formatOf`, and RequestError `bad_cloudevent`.
 */
export function sourceFormat(
  contentType: string | undefined,
  header: (name: string) => string | undefined,
  verify: VerifyConfig | null,
): Format {
  const format = formatOf(contentType, header);
  if (verify === null || SIGNED[verify.format].includes(format)) return format;
  if (format === 'binary') {
    const name = binaryHeader((one) => header(one) !== undefined);
    throw new RequestError(
      'bad_cloudevent',
      `header ${name} is not signed; this source takes signed bodies only`,
    );
  }
  const detail = `Content-Type ${mediaType(contentType ?? '').slice(0, 80)} is not taken here: this source reads its signed bodies as ${verify.format} only`;
  throw new RequestError('unsupported_type', detail);
}

/** Events of a body in the format that `sourceFormat` found. */
export function decode(
  format: Format,
  body: Uint8Array,
  contentType: string | undefined,
  headers: () => Iterable<[string, string]>,
  context: DecodeContext,
): Decoding {
  if (format === 'binary') {
    const data = contentType !== undefined && isJsonType(contentType) ? withoutMark(body) : body;
    return decodeBinary(data, contentType ?? null, headers(), context);
  }
  if (format === 'cbor') return decodeCbor(body, context);
  if (format === 'senml-cbor') return decodeSenmlCbor(body, context);
  const bytes = withoutMark(body);
  if (format === 'senml') return decodeSenml(bytes, context);
  if (format === 'json') return decodeJson(bytes, context);
  if (format === 'lines') return decodeLines(bytes, context);
  return format === 'structured' ? decodeStructured(bytes, context) : decodeBatch(bytes, context);
}

/** Throws RequestError `unsupported_charset`. */
export function checkCharset(contentType: string): void {
  const charset = foreignCharset(contentType);
  if (charset !== null)
    throw new RequestError('unsupported_charset', `charset must be utf-8, not ${charset.slice(0, 40)}`);
}

function unsupported(type: string): RequestError {
  const hint =
    type === 'application/x-www-form-urlencoded'
      ? ' (curl -d sends this type unless told -H "content-type: application/json")'
      : '';
  return new RequestError('unsupported_type', `Content-Type ${type.slice(0, 80)} is not taken here${hint}`, {
    'accept-post': EVENT_TYPES.join(', '),
  });
}
