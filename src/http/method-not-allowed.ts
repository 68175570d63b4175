import { ServiceError } from '../errors.ts';

/** A path that is known was asked with a method that it does not answer. */
export class MethodNotAllowed extends ServiceError {
  /** Those that it does answer. */
  readonly methods: readonly string[];

  constructor(methods: readonly string[]) {
    super('method_not_allowed', 'This path does not answer that method; Allow names those that it does.');
    this.methods = methods;
  }
}
