import { RequestError } from '../../core/errors.ts';
import { valueSpan } from '../../json/scan.ts';
import { unauthorized } from '../admission/admit.ts';
import type { WriteKeys } from '../admission/write-keys.ts';
import type { Head } from '../body/head.ts';
import type { Call } from '../formats/segment.ts';
import { checkPage, checkUnsigned, imageReply, KEY_PARAMETERS } from './pixel.ts';
import type { Protocol } from './protocol.ts';
import { readItem, segmentReply } from './segment.ts';

/**
 * `GET /pixel/v1/{track,page}`: the query is one call, as RudderStack has it. A dot in a name goes a level down
 * (`properties.price`); values are text. What is not taken is answered without an image.
 */
export function segmentPixelProtocol(keys: WriteKeys, call: Call): Protocol {
  const image = imageReply();
  return {
    sourceOf(head) {
      const guarded = keys.sourceOf(head);
      if (guarded === null) throw unauthorized();
      return guarded;
    },
    inspect(head) {
      const { config } = keys.sourceOf(head)!.source;
      checkUnsigned(config);
      checkPage(config, head);
    },
    read({ head, admission, context }) {
      const decoding = context(admission!.guarded.source);
      const bytes = new TextEncoder().encode(JSON.stringify(treeOf(head, decoding.limits.depth)));
      const shape = valueSpan(bytes, 0, bytes.length);
      const event = readItem(bytes, shape, call, decoding);
      return { admission: admission!, events: [event] };
    },
    reply(outcome, head) {
      const reply = segmentReply(outcome, head);
      return reply.status === 200 ? image : reply;
    },
  };
}

interface Tree {
  [name: string]: string | Tree;
}

/** Without prototypes: names such as `__proto__` are names like others. Throws RequestError `too_deep`. */
function treeOf({ queries }: Head, depth: number): Tree {
  const root = Object.create(null) as Tree;
  for (const [name, value] of queries()) {
    if (KEY_PARAMETERS.has(name)) continue;
    const path = name.split('.', depth + 1);
    if (path.length > depth) throw new RequestError('too_deep', `more than ${depth} levels deep`);
    const last = path.pop()!;
    let here = root;
    for (const step of path) {
      const below = here[step];
      if (typeof below === 'object') here = below;
      else {
        const made = Object.create(null) as Tree;
        here[step] = made;
        here = made;
      }
    }
    here[last] = value;
  }
  return root;
}
