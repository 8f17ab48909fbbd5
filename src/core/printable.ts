/** Characters that control a terminal or reorder its text: controls (C0, C1), marks of direction, Unicode line ends. */
const STEERING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** The same without C0, which JSON text always has as escapes. */
const STEERING_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text of a stranger for a terminal: control characters are written out, such as `\x1b`; line breaks too, unless kept. */
export function printable(text: string, keepLines = false): string {
  return text.replace(STEERING, (char) => {
    if (char === '\n') return keepLines ? char : '\\n';
    if (char === '\t') return keepLines ? char : '\\t';
    return char < '\u0100' ? `\\x${hex(char, 2)}` : `\\u${hex(char, 4)}`;
  });
}

/** Lines of JSON with the same value and no characters that control a terminal. */
export function printableJson(text: string): string {
  return text.replace(STEERING_JSON, (char) => `\\u${hex(char, 4)}`);
}

function hex(char: string, digits: number): string {
  return char.charCodeAt(0).toString(16).padStart(digits, '0');
}
