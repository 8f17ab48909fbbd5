// `helm test`: checks that the Service answers, and sends it the events of the values.
const url = process.env.POSTERN_URL;
const events = JSON.parse(process.env.POSTERN_EVENTS);

function check(good, fact) {
  if (!good) throw new Error(fact);
  console.log(`ok: ${fact}`);
}

async function call(path, init) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetch(url + path, { ...init, signal: AbortSignal.timeout(10_000) });
    } catch (error) {
      if (attempt === 5) throw new Error(`${url}${path}: ${error.cause?.message ?? error.message}`);
      await new Promise((next) => setTimeout(next, 1000));
    }
  }
}

const description = await call('/openapi.json');
// With gateway.openapi: false there is none.
check([200, 404].includes(description.status), `GET /openapi.json is answered ${description.status}`);
if (description.status === 200)
  check((await description.json()).openapi !== undefined, 'it describes the routes');
const unknown = await call('/events/no-such-source', { method: 'POST', body: '{}' });
check(unknown.status === 404, `an unknown source gets ${unknown.status}`);
const admin = await call('/metrics');
check(admin.status === 404, `metrics are not public: ${admin.status}`);
for (const { path, headers = {}, body, status } of events) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const reply = await call(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: text.replaceAll('$UNIQUE', crypto.randomUUID()),
  });
  check(reply.status === status, `POST ${path} is answered ${reply.status}: ${await reply.text()}`);
}
