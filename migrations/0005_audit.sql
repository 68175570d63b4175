CREATE TABLE "key_service"."audit_chains" (
	"chain" uuid PRIMARY KEY NOT NULL,
	"sequence" bigint DEFAULT 0 NOT NULL,
	"mac" "bytea" DEFAULT ''::bytea NOT NULL
);
--> statement-breakpoint
CREATE TABLE "key_service"."audit_checkpoints" (
	"chain" uuid PRIMARY KEY NOT NULL,
	"sequence" bigint NOT NULL,
	"mac" "bytea" NOT NULL,
	"cut_at" timestamp (3) with time zone NOT NULL,
	"data_key_id" uuid NOT NULL,
	"signature" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "key_service"."audit_events" (
	"id" uuid NOT NULL,
	"chain" uuid NOT NULL,
	"sequence" bigint NOT NULL,
	"occurred_at" timestamp (3) with time zone NOT NULL,
	"actor_kind" text NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"target_type" text NOT NULL,
	"target_id" text,
	"provider" text,
	"request_id" text NOT NULL,
	"address" text,
	"details" jsonb NOT NULL,
	"data_key_id" uuid NOT NULL,
	"mac" "bytea" NOT NULL,
	CONSTRAINT "audit_events_chain_sequence_pk" PRIMARY KEY("chain","sequence")
);
--> statement-breakpoint
CREATE INDEX "audit_events_by_time" ON "key_service"."audit_events" USING btree ("occurred_at","id");--> statement-breakpoint
CREATE INDEX "audit_events_of_chain_by_time" ON "key_service"."audit_events" USING btree ("chain","occurred_at","id");--> statement-breakpoint
CREATE INDEX "audit_events_changes_by_time" ON "key_service"."audit_events" USING btree ("chain","occurred_at","id") WHERE "key_service"."audit_events"."action" <> 'provider_key.revealed';--> statement-breakpoint
-- An event changes a head and nothing else of the row: with room on its page that touches no index.
ALTER TABLE "key_service"."audit_chains" SET (fillfactor = 50);--> statement-breakpoint
-- Every organisation has its chain from the beginning, also one that a version of the service makes which knows of no
-- audit: a head that had to be made when it is first needed would be locked out of order.
CREATE FUNCTION "key_service"."begin_audit_chain"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO "key_service"."audit_chains" ("chain") VALUES (NEW.id) ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "begin_audit_chain" AFTER INSERT ON "key_service"."organizations"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."begin_audit_chain"();--> statement-breakpoint
INSERT INTO "key_service"."audit_chains" ("chain")
	SELECT "id" FROM "key_service"."organizations" UNION ALL SELECT '00000000-0000-0000-0000-000000000000'
	ON CONFLICT DO NOTHING;
