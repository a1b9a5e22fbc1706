/**
 * Compares two well-formed strings by their UTF-8 bytes, as SQLite and CQL order text. JavaScript's own `<` compares
 * UTF-16 code units and puts U+10000 and above (surrogates, from 0xD800) before U+E000 to U+FFFF.
 *
 * @returns negative, 0 or positive, for `Array.prototype.sort`.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** A code unit's place in code point order: surrogates go above the rest of the basic plane. */
function rank(codeUnit: number): number {
  if (codeUnit < 0xd800) return codeUnit;
  return codeUnit < 0xe000 ? codeUnit + 0x2000 : codeUnit - 0x800;
}

/** Length in Unicode code points. */
export function codePointLength(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** Whether a text has more than `max` code points, without counting where its length already decides. */
export function exceedsCodePoints(text: string, max: number): boolean {
  if (text.length <= max) return false;
  return text.length > 2 * max || codePointLength(text) > max;
}
