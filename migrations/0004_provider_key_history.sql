CREATE TABLE "key_service"."provider_key_sources" (
	"organization_id" uuid NOT NULL,
	"provider" text NOT NULL,
	"source" text NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "provider_key_sources_organization_id_provider_pk" PRIMARY KEY("organization_id","provider")
);
--> statement-breakpoint
ALTER TABLE "key_service"."provider_keys" ALTER COLUMN "organization_id" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_versions" ADD COLUMN "status" text DEFAULT 'unchecked' NOT NULL;--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_versions" ADD COLUMN "last_checked_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_sources" ADD CONSTRAINT "provider_key_sources_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "key_service"."organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "provider_keys_one_of_platform" ON "key_service"."provider_keys" USING btree ("provider") WHERE "key_service"."provider_keys"."organization_id" is null;--> statement-breakpoint
-- What a change of a provider key is announced as. The platform's own keys belong to no organisation.
CREATE FUNCTION "key_service"."change_of_provider_key"(organization_id uuid, provider text) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT CASE
		WHEN organization_id IS NULL THEN 'platform-key changed ' || provider
		ELSE 'organization changed ' || organization_id
	END
$$;--> statement-breakpoint
CREATE FUNCTION "key_service"."announce_provider_key"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN
		PERFORM pg_notify('key_service_changes', "key_service"."change_of_provider_key"(OLD.organization_id, OLD.provider));
	END IF;
	IF TG_OP <> 'DELETE' THEN
		PERFORM pg_notify('key_service_changes', "key_service"."change_of_provider_key"(NEW.organization_id, NEW.provider));
	END IF;
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE OR REPLACE FUNCTION "key_service"."announce_provider_key_version"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('key_service_changes', "key_service"."change_of_provider_key"(organization_id, provider))
		FROM "key_service"."provider_keys"
		WHERE (TG_OP <> 'INSERT' AND id = OLD.provider_key_id) OR (TG_OP <> 'DELETE' AND id = NEW.provider_key_id);
	RETURN NULL;
END $$;--> statement-breakpoint
DROP TRIGGER "announce" ON "key_service"."provider_keys";--> statement-breakpoint
CREATE TRIGGER "announce" AFTER INSERT OR UPDATE OR DELETE ON "key_service"."provider_keys"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_provider_key"();--> statement-breakpoint
-- What is known of a secret is in no answer that is remembered: noting it is not announced.
DROP TRIGGER "announce" ON "key_service"."provider_key_versions";--> statement-breakpoint
CREATE TRIGGER "announce" AFTER INSERT OR UPDATE OF "provider_key_id", "version", "data_key_id", "sealed" OR DELETE ON "key_service"."provider_key_versions"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_provider_key_version"();--> statement-breakpoint
CREATE TRIGGER "announce" AFTER INSERT OR UPDATE OR DELETE ON "key_service"."provider_key_sources"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."announce_organization"('organization_id');--> statement-breakpoint
-- Nothing is stored for an organisation that has ended, see 0003.
CREATE TRIGGER "require_living" BEFORE INSERT OR UPDATE ON "key_service"."provider_key_sources"
	FOR EACH ROW EXECUTE FUNCTION "key_service"."require_living"();--> statement-breakpoint
CREATE TRIGGER "announce_truncate" AFTER TRUNCATE ON "key_service"."provider_key_sources"
	FOR EACH STATEMENT EXECUTE FUNCTION "key_service"."announce_everything"();--> statement-breakpoint
ALTER TABLE "key_service"."provider_keys" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_versions" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_sources" ENABLE ALWAYS TRIGGER "announce";--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_sources" ENABLE ALWAYS TRIGGER "announce_truncate";
