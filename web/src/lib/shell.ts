/** Commands for a terminal. */

/** Return a word that a POSIX shell takes as it is. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Return a command of words; undefined and empty ones are left out. */
export function command(...words: (string | undefined | false)[]): string {
  return words.filter((word): word is string => !!word).map(quoted).join(" ");
}
