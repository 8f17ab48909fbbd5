/** Fields of an `application/x-www-form-urlencoded` body in order; null when it is not percent-encoded UTF-8. */
export function formFields(text: string): [name: string, value: string][] | null {
  const decode = (part: string) => decodeURIComponent(part.replaceAll('+', ' '));
  try {
    return text
      .split('&')
      .filter((part) => part !== '')
      .map((part) => {
        const equals = part.indexOf('=');
        return equals < 0
          ? [decode(part), '']
          : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
      });
  } catch {
    return null;
  }
}

/** JSON text of an object of the fields; one that comes several times is a list. */
export function formJson(fields: [name: string, value: string][]): string {
  // Without a prototype: a field may be called __proto__.
  const object: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of fields) {
    const before = object[name];
    if (before === undefined) object[name] = value;
    else if (typeof before === 'string') object[name] = [before, value];
    else before.push(value);
  }
  return JSON.stringify(object);
}
