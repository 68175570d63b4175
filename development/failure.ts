/** What went wrong, in a sentence for the person at the terminal: printed without a stack. */
export class Failure extends Error {
  override readonly name: string = 'Failure';
}
