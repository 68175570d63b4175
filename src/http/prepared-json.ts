/**
 * A JSON body that is text already, for an answer that is given many times: an endpoint makes it once, keeps it, and
 * answers with it in the place of the body. `T` is the body's type, so that it fits where the body would.
 */
export class PreparedJson<T> {
  /** Only for the compiler: without a member of its type, a `PreparedJson` of anything would fit everywhere. */
  declare protected readonly body: T;
  readonly text: string;
  /** Its length in UTF-8. */
  readonly bytes: number;

  constructor(body: T) {
    this.text = JSON.stringify(body);
    this.bytes = Buffer.byteLength(this.text);
  }
}
