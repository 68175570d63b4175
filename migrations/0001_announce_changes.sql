-- Whatever changes what a validation or a reveal would answer is announced on the channel key_service_changes, in the
-- same transaction, so that no replica answers it from memory any longer. By triggers: a version of the service that does
-- not know the channel announces its changes too, and so does an operator who revokes a key with SQL.
-- Payloads: `api-key created|changed|revoked <SHA-256, base64>`, `organization changed <id>`, `everything changed`.

CREATE FUNCTION "key_service"."announce_api_key"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN
		PERFORM pg_notify('key_service_changes', CASE
			WHEN TG_OP = 'UPDATE' AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN 'api-key revoked '
			ELSE 'api-key changed '
		END || encode(OLD.key_hash, 'base64'));
	END IF;
	IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.key_hash <> OLD.key_hash) THEN
		PERFORM pg_notify('key_service_changes', 'api-key created ' || encode(NEW.key_hash, 'base64'));
	END IF;
	RETURN NULL;
END $$;--> statement-breakpoint
-- Its argument names the column that holds the organisation.
CREATE FUNCTION "key_service"."announce_organization"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	before_id text := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) ->> TG_ARGV[0] END;
	after_id text := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) ->> TG_ARGV[0] END;
BEGIN
	IF before_id IS NOT NULL THEN
		PERFORM pg_notify('key_service_changes', 'organization changed ' || before_id);
	END IF;
	IF after_id IS DISTINCT FROM before_id AND after_id IS NOT NULL THEN
		PERFORM pg_notify('key_service_changes', 'organization changed ' || after_id);
	END IF;
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION "key_service"."announce_provider_key_version"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('key_service_changes', 'organization changed ' || organization_id)
		FROM "key_service"."provider_keys"
		WHERE (TG_OP <> 'INSERT' AND id = OLD.provider_key_id) OR (TG_OP <> 'DELETE' AND id = NEW.provider_key_id);
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION "key_service"."announce_everything"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('key_service_changes', 'everything changed');
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "announce" AFTER INSERT OR UPDATE OR DELETE ON "key_service"."api_keys"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_api_key"();--> statement-breakpoint
CREATE TRIGGER "announce" AFTER UPDATE OR DELETE ON "key_service"."organizations"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_organization"('id');--> statement-breakpoint
CREATE TRIGGER "announce" AFTER INSERT OR UPDATE OR DELETE ON "key_service"."provider_keys"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_organization"('organization_id');--> statement-breakpoint
CREATE TRIGGER "announce" AFTER INSERT OR UPDATE OR DELETE ON "key_service"."provider_key_versions"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_provider_key_version"();--> statement-breakpoint
-- Counting seals changes nothing that is answered.
CREATE TRIGGER "announce" AFTER UPDATE OF "organization_id", "master_key_id", "wrapped" OR DELETE ON "key_service"."data_keys"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_organization"('organization_id');--> statement-breakpoint
CREATE TRIGGER "announce_truncate" AFTER TRUNCATE ON "key_service"."api_keys"
	FOR EACH STATEMENT EXECUTE FUNCTION "key_service"."announce_everything"();--> statement-breakpoint
CREATE TRIGGER "announce_truncate" AFTER TRUNCATE ON "key_service"."provider_keys"
	FOR EACH STATEMENT EXECUTE FUNCTION "key_service"."announce_everything"();--> statement-breakpoint
CREATE TRIGGER "announce_truncate" AFTER TRUNCATE ON "key_service"."provider_key_versions"
	FOR EACH STATEMENT EXECUTE FUNCTION "key_service"."announce_everything"();--> statement-breakpoint
CREATE TRIGGER "announce_truncate" AFTER TRUNCATE ON "key_service"."organizations"
	FOR EACH STATEMENT EXECUTE FUNCTION "key_service"."announce_everything"();--> statement-breakpoint
-- Also for what logical replication writes here.
ALTER TABLE "key_service"."api_keys" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."provider_keys" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_versions" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."data_keys" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ENABLE ALWAYS TRIGGER "announce_truncate";--> statement-breakpoint
ALTER TABLE "key_service"."provider_keys" ENABLE ALWAYS TRIGGER "announce_truncate";--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_versions" ENABLE ALWAYS TRIGGER "announce_truncate";--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ENABLE ALWAYS TRIGGER "announce_truncate";
