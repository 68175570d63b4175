CREATE TABLE "key_service"."reveal_freezes" (
	"scope" uuid PRIMARY KEY NOT NULL,
	"frozen_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);--> statement-breakpoint
-- Announced like all that changes what a reveal would answer (0001), and with little to forget: of a freeze everywhere, no
-- validation has to be asked for again. A version that does not know the payload takes it for a change of everything.
CREATE FUNCTION "key_service"."announce_reveal_freeze"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('key_service_changes', 'reveal-freezes changed');
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "announce" AFTER INSERT OR UPDATE OR DELETE ON "key_service"."reveal_freezes"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_reveal_freeze"();--> statement-breakpoint
CREATE TRIGGER "announce_truncate" AFTER TRUNCATE ON "key_service"."reveal_freezes"
	FOR EACH STATEMENT EXECUTE FUNCTION "key_service"."announce_everything"();--> statement-breakpoint
-- Also for what logical replication writes here.
ALTER TABLE "key_service"."reveal_freezes" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."reveal_freezes" ENABLE ALWAYS TRIGGER "announce_truncate";
