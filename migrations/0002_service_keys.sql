CREATE TABLE "key_service"."service_key_uses" (
	"service_key_id" uuid PRIMARY KEY NOT NULL,
	"last_used_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "key_service"."service_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"key_hash" "bytea" NOT NULL,
	"key_prefix" text NOT NULL,
	"last4" text NOT NULL,
	"permissions" text[] NOT NULL,
	"reveal_providers" text[],
	"expires_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"revoked_at" timestamp (3) with time zone,
	CONSTRAINT "service_keys_key_hash_unique" UNIQUE("key_hash"),
	CONSTRAINT "service_keys_hash_is_sha256" CHECK (octet_length("key_service"."service_keys"."key_hash") = 32)
);
--> statement-breakpoint
ALTER TABLE "key_service"."service_key_uses" ADD CONSTRAINT "service_key_uses_service_key_id_service_keys_id_fk" FOREIGN KEY ("service_key_id") REFERENCES "key_service"."service_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
-- Whatever changes what a service key may do is announced in the same transaction, like changes of API keys (0001).
-- A version that does not know these payloads takes them for a change of everything.
-- Payloads: `service-key created|changed|revoked <SHA-256, base64>`.
CREATE FUNCTION "key_service"."announce_service_key"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN
		PERFORM pg_notify('key_service_changes', CASE
			WHEN TG_OP = 'UPDATE' AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN 'service-key revoked '
			ELSE 'service-key changed '
		END || encode(OLD.key_hash, 'base64'));
	END IF;
	IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.key_hash <> OLD.key_hash) THEN
		PERFORM pg_notify('key_service_changes', 'service-key created ' || encode(NEW.key_hash, 'base64'));
	END IF;
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "announce" AFTER INSERT OR UPDATE OR DELETE ON "key_service"."service_keys"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_service_key"();--> statement-breakpoint
CREATE TRIGGER "announce_truncate" AFTER TRUNCATE ON "key_service"."service_keys"
	FOR EACH STATEMENT EXECUTE FUNCTION "key_service"."announce_everything"();--> statement-breakpoint
-- Also for what logical replication writes here.
ALTER TABLE "key_service"."service_keys" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."service_keys" ENABLE ALWAYS TRIGGER "announce_truncate";
