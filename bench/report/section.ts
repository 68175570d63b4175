import type { PartResult } from '../results.ts';
import { paragraphs } from './markdown.ts';

/** A chapter of the document, and the charts that it shows. */
export interface Section {
  title: string;
  text: string;
  charts: Record<string, string>;
}

export function withNotes({ notes }: PartResult, ...text: string[]): string {
  return paragraphs(...text, ...notes);
}
