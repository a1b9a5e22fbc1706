/**
 * Text that may hold what a caller wrote, for a terminal: control and format characters (colours, cursor moves,
 * text from right to left, line ends) are spelt as JSON spells them, so that they do nothing. What is JSON stays JSON.
 */
export function terminalText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, unit) => `\\u${character.charCodeAt(unit).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}
