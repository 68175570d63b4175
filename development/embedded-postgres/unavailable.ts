import { Failure } from '../failure.ts';

/** A reason why the embedded server cannot run here, with the way out that always works. */
export class EmbeddedPostgresError extends Failure {
  override readonly name = 'EmbeddedPostgresError';

  constructor(reason: string) {
    super(
      `${reason} To use a PostgreSQL server of your own, set KEY_SERVICE_DATABASE_URL=postgresql://user:password@host:5432/database.`,
    );
  }
}
