export interface Block {
  file: string;
  /** Where it begins in the document, from 1. */
  line: number;
  language: string;
  code: string;
  /** `code` in the text of the document. */
  start: number;
  end: number;
  kind: 'run' | 'types' | 'shell' | 'output' | 'data' | 'not run';
  /** Why it is not run. */
  reason: string | undefined;
  /** The number of the shell block whose output it is. */
  of: number | undefined;
}
export const DOCUMENTS: string[];
export function blocksOf(file: string, text?: string): Block[];
