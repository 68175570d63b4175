/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** JSON that is written once and sent many times; as text, for Node writes it together with the headers. */
export class PreparedJson<T> {
  readonly text: string;
  /** Its length in UTF-8. */
  readonly bytes: number;
  /** What it is the JSON of, for the compiler alone. */
  declare readonly of: T;

  constructor(value: T, text = JSON.stringify(value), bytes = Buffer.byteLength(text)) {
    this.text = text;
    this.bytes = bytes;
  }

  /** The same with something, in ASCII, before the last so many characters. */
  withInserted(insertion: string, charactersFromEnd: number): PreparedJson<T> {
    const text = this.text.slice(0, -charactersFromEnd) + insertion + this.text.slice(-charactersFromEnd);
    return new PreparedJson(this.of, text, this.bytes + insertion.length);
  }
}
