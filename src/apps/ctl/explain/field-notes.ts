/** What explain knows of a field besides its schema: agent parameters have names in files and environments, too. */

export interface FieldNote {
  readonly title: string;
  readonly text: string;
}

export async function fieldNotes(
  _kind: string,
  _path: readonly string[],
): Promise<readonly FieldNote[]> {
  return [];
}
