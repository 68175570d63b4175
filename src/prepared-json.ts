/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** JSON that is written once and sent many times; as text, for Node writes it together with the headers. */
export class PreparedJson<T> {
  readonly text: string;
  /** Its length in UTF-8. */
  readonly bytes: number;
  /** What it is the JSON of, for the compiler alone. */
  declare readonly of: T;

  constructor(value: T) {
    this.text = JSON.stringify(value);
    this.bytes = Buffer.byteLength(this.text);
  }
}
