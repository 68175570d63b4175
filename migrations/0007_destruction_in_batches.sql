-- What is destroyed so far of an organisation whose destruction takes more than one transaction. The constraint keeps a version
-- that does not know it from making such an organisation live again.
ALTER TABLE "key_service"."organizations" ADD COLUMN "destruction" jsonb;--> statement-breakpoint
ALTER TABLE "key_service"."organizations" ADD CONSTRAINT "organizations_destruction_fits" CHECK ("key_service"."organizations"."destruction" is null or "key_service"."organizations"."ended_at" is not null);