/** A function for Google's Functions Framework, which loads this file. It answers an event with the next of its chain. */
import { http } from '@google-cloud/functions-framework';

http('chain', (request, response) => {
  const { traceparent, 'ce-id': id, 'ce-posternhops': hops } = request.headers;
  const seen = [...(request.body.seen ?? []), { by: 'framework', traceparent, hops }];
  response
    .set({
      'ce-specversion': '1.0',
      'ce-id': `${id}.framework`,
      'ce-source': '/framework',
      'ce-type': 'chain.framework',
    })
    .json({ seen });
});
