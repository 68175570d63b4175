ALTER TABLE "key_service"."organizations" ADD COLUMN "ended_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ADD COLUMN "destroy_after" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ADD COLUMN "destroyed_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ADD COLUMN "destroyed" jsonb;--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ADD COLUMN "due_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "organizations_due" ON "key_service"."organizations" USING btree ("due_at") WHERE "key_service"."organizations"."due_at" is not null;--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ADD CONSTRAINT "organizations_end_fits" CHECK ("key_service"."organizations"."ended_at" is not null or ("key_service"."organizations"."destroy_after" is null and "key_service"."organizations"."destroyed_at" is null and "key_service"."organizations"."due_at" is null));--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ADD CONSTRAINT "organizations_destroyed_fits" CHECK (("key_service"."organizations"."destroyed_at" is null) = ("key_service"."organizations"."destroyed" is null));
--> statement-breakpoint
-- Nothing is stored for an organisation that has ended, by whatever version of the service or by hand: SQLSTATE KS001. The
-- lock is the one that a foreign key takes. Whoever ends the organisation waits for it; whoever comes while it is being
-- ended waits here, and then sees that it has. So the row is read first and judged after.
CREATE FUNCTION "key_service"."refuse_unless_living"(organization uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	ended timestamptz;
BEGIN
	SELECT ended_at INTO ended FROM "key_service"."organizations" WHERE id = organization FOR KEY SHARE;
	IF ended IS NOT NULL THEN
		RAISE EXCEPTION 'the organisation has ended' USING ERRCODE = 'KS001';
	END IF;
END $$;--> statement-breakpoint
CREATE FUNCTION "key_service"."require_living"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM "key_service"."refuse_unless_living"(NEW.organization_id);
	RETURN NEW;
END $$;--> statement-breakpoint
CREATE FUNCTION "key_service"."require_living_owner"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM "key_service"."refuse_unless_living"(
		(SELECT organization_id FROM "key_service"."provider_keys" WHERE id = NEW.provider_key_id)
	);
	RETURN NEW;
END $$;--> statement-breakpoint
-- What was sealed before may be sealed anew until it is destroyed.
CREATE FUNCTION "key_service"."require_undestroyed"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	destroyed timestamptz;
BEGIN
	SELECT destroyed_at INTO destroyed FROM "key_service"."organizations" WHERE id = NEW.organization_id FOR KEY SHARE;
	IF destroyed IS NOT NULL THEN
		RAISE EXCEPTION 'the organisation has ended' USING ERRCODE = 'KS001';
	END IF;
	RETURN NEW;
END $$;--> statement-breakpoint
CREATE TRIGGER "require_living" BEFORE INSERT OR UPDATE OF "organization_id", "revoked_at" ON "key_service"."api_keys"
	FOR EACH ROW WHEN (NEW."revoked_at" IS NULL) EXECUTE FUNCTION "key_service"."require_living"();--> statement-breakpoint
CREATE TRIGGER "require_living" BEFORE INSERT OR UPDATE OF "organization_id", "deleted_at" ON "key_service"."provider_keys"
	FOR EACH ROW WHEN (NEW."deleted_at" IS NULL) EXECUTE FUNCTION "key_service"."require_living"();--> statement-breakpoint
CREATE TRIGGER "require_living" BEFORE INSERT ON "key_service"."provider_key_versions"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."require_living_owner"();--> statement-breakpoint
CREATE TRIGGER "require_undestroyed" BEFORE INSERT ON "key_service"."data_keys"
	FOR EACH ROW WHEN (NEW."organization_id" IS NOT NULL) EXECUTE FUNCTION "key_service"."require_undestroyed"();--> statement-breakpoint
-- A data key that is gone must be gone from every memory. A version that does not know this payload takes it for a change
-- of everything. Payload: `data-key removed <id>`.
CREATE FUNCTION "key_service"."announce_data_key"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('key_service_changes', 'data-key removed ' || OLD.id);
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "announce_removed" AFTER DELETE ON "key_service"."data_keys"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_data_key"();--> statement-breakpoint
ALTER TABLE "key_service"."data_keys" ENABLE ALWAYS TRIGGER "announce_removed";
