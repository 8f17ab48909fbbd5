/** Value of a counter that `/metrics` has under these labels, in their order; 0 when it is absent. */
export async function counterOf(admin: string, name: string, labels: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const line = text.split('\n').find((entry) => entry.startsWith(`postern_${name}{${labels}} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

/** Events of a source that are stored, as the process counts them. */
export const acceptedOf = (admin: string, source: string) =>
  counterOf(admin, 'events_total', `source="${source}",verdict="accepted"`);

/** Requests of a source that were answered with a status. */
export const answeredOf = (admin: string, source: string, status: number) =>
  counterOf(admin, 'requests_total', `source="${source}",code="${status}"`);
