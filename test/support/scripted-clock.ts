import { execute } from './database-server.ts';

/** PostgreSQL's clock as the statements of a service see it: it stands still, where it was set. */
export interface ScriptedClock {
  /** For `leadDatabase` of a service, before whose first connection the clock must be there. */
  lead(url: string): Promise<string>;
  set(instant: Date): Promise<void>;
}

/** Another `now()`, which whoever names no schema finds before PostgreSQL's own. */
export function scriptedClock(): ScriptedClock {
  let database = '';
  return {
    async lead(url) {
      database = url;
      await execute(
        url,
        `create schema scripted;
        create table scripted.clock (instant timestamptz not null);
        insert into scripted.clock values (pg_catalog.now());
        create function scripted.now() returns timestamptz language sql stable as 'select instant from scripted.clock';
        create function scripted.clock_timestamp() returns timestamptz language sql volatile
          as 'select instant from scripted.clock';
        do $$ begin
          execute format('alter database %I set search_path = scripted, pg_catalog, public', current_database());
        end $$`,
      );
      return url;
    },
    async set(instant) {
      await execute(database, 'update scripted.clock set instant = $1', [instant]);
    },
  };
}
