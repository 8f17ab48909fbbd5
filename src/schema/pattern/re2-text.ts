/** RE2 character classes for JavaScript's `\s`, `\S`, `.` and the classes of all and no characters; some without brackets. */
export const SPACE =
  '\\t-\\r\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
export const NOT_SPACE =
  '\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}' +
  '\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}';
export const ALL = '[\\x{0}-\\x{10ffff}]';
export const NONE = '[^\\x{0}-\\x{10ffff}]';
export const LINE_ENDS = '\\n\\r\\x{2028}\\x{2029}';

// RE2 knows general categories by their short names only.
const CATEGORIES =
  'L=Letter Ll=Lowercase_Letter Lu=Uppercase_Letter Lt=Titlecase_Letter Lm=Modifier_Letter ' +
  'Lo=Other_Letter M=Mark Mn=Nonspacing_Mark Mc=Spacing_Mark Me=Enclosing_Mark N=Number ' +
  'Nd=Decimal_Number Nd=digit Nl=Letter_Number No=Other_Number P=Punctuation P=punct ' +
  'Pc=Connector_Punctuation Pd=Dash_Punctuation Ps=Open_Punctuation Pe=Close_Punctuation ' +
  'Pi=Initial_Punctuation Pf=Final_Punctuation Po=Other_Punctuation S=Symbol Sm=Math_Symbol ' +
  'Sc=Currency_Symbol Sk=Modifier_Symbol So=Other_Symbol Z=Separator Zs=Space_Separator ' +
  'Zl=Line_Separator Zp=Paragraph_Separator C=Other Cc=Control Cf=Format ';

/** RE2's name for the inside of `\p{…}`; scripts have the same names there. */
export function propertyName(name: string): string {
  const plain = name.replace(/^(General_Category|gc|Script|sc)=/, '');
  return new RegExp(`(\\w+)=${plain} `).exec(CATEGORIES)?.[1] ?? plain;
}

/** One character in RE2's syntax, both in and outside of brackets. */
export function codeText(code: number): string {
  const char = String.fromCodePoint(code);
  return /[A-Za-z0-9_]/.test(char) ? char : `\\x{${code.toString(16)}}`;
}

/** A repetition in RE2's syntax, which counts only to 1000: a higher count becomes several repetitions. */
export function timesText(body: string, min: number, max: number, lazy: string): string {
  const one = (low: number, high: number) => `${body}{${low},${high === Infinity ? '' : high}}${lazy}`;
  if (min <= 1000 && (max <= 1000 || max === Infinity)) return one(min, max);
  let text = '';
  for (let left = min; left > 0; left -= 1000) text += one(Math.min(left, 1000), Math.min(left, 1000));
  if (max === Infinity) return text + one(0, max);
  for (let left = max - min; left > 0; left -= 1000) text += one(0, Math.min(left, 1000));
  return text;
}
