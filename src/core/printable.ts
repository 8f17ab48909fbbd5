/** What steers a terminal, or changes the order of what it shows: controls (C0, C1), marks of direction, line ends of Unicode. */
const STEERING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** The same without C0, which JSON never holds as it is. */
const STEERING_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text of somebody else's for a terminal: what would steer it is written out, such as `\x1b`; so are line breaks unless kept. */
export function printable(text: string, keepLines = false): string {
  return text.replace(STEERING, (char) => {
    if (char === '\n') return keepLines ? char : '\\n';
    if (char === '\t') return keepLines ? char : '\\t';
    return char < '\u0100' ? `\\x${hex(char, 2)}` : `\\u${hex(char, 4)}`;
  });
}

/** Lines of JSON that say the same and steer no terminal. */
export function printableJson(text: string): string {
  return text.replace(STEERING_JSON, (char) => `\\u${hex(char, 4)}`);
}

function hex(char: string, digits: number): string {
  return char.charCodeAt(0).toString(16).padStart(digits, '0');
}
