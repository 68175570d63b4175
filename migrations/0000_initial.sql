CREATE TABLE "key_service"."api_key_uses" (
	"api_key_id" uuid PRIMARY KEY NOT NULL,
	"last_used_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "key_service"."api_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"key_hash" "bytea" NOT NULL,
	"key_prefix" text NOT NULL,
	"last4" text NOT NULL,
	"name" text,
	"environment" text NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"scopes" text[],
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"revision" integer DEFAULT 1 NOT NULL,
	"revoked_at" timestamp (3) with time zone,
	CONSTRAINT "api_keys_key_hash_unique" UNIQUE("key_hash"),
	CONSTRAINT "api_keys_hash_is_sha256" CHECK (octet_length("key_service"."api_keys"."key_hash") = 32)
);
--> statement-breakpoint
CREATE TABLE "key_service"."data_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"purpose" text NOT NULL,
	"organization_id" uuid,
	"master_key_id" text NOT NULL,
	"wrapped" "bytea" NOT NULL,
	"seals" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"retired_at" timestamp (3) with time zone,
	CONSTRAINT "data_keys_purpose_fits" CHECK (("key_service"."data_keys"."purpose" = 'organization') = ("key_service"."data_keys"."organization_id" is not null))
);
--> statement-breakpoint
CREATE TABLE "key_service"."organizations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"clerk_org_id" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "organizations_clerk_org_id_unique" UNIQUE("clerk_org_id")
);
--> statement-breakpoint
CREATE TABLE "key_service"."provider_key_uses" (
	"provider_key_id" uuid PRIMARY KEY NOT NULL,
	"last_used_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "key_service"."provider_key_versions" (
	"provider_key_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"data_key_id" uuid NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "provider_key_versions_provider_key_id_version_pk" PRIMARY KEY("provider_key_id","version")
);
--> statement-breakpoint
CREATE TABLE "key_service"."provider_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"provider" text NOT NULL,
	"version" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"deleted_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "key_service"."api_key_uses" ADD CONSTRAINT "api_key_uses_api_key_id_api_keys_id_fk" FOREIGN KEY ("api_key_id") REFERENCES "key_service"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ADD CONSTRAINT "api_keys_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "key_service"."organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."data_keys" ADD CONSTRAINT "data_keys_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "key_service"."organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_uses" ADD CONSTRAINT "provider_key_uses_provider_key_id_provider_keys_id_fk" FOREIGN KEY ("provider_key_id") REFERENCES "key_service"."provider_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_versions" ADD CONSTRAINT "provider_key_versions_provider_key_id_provider_keys_id_fk" FOREIGN KEY ("provider_key_id") REFERENCES "key_service"."provider_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."provider_key_versions" ADD CONSTRAINT "provider_key_versions_data_key_id_data_keys_id_fk" FOREIGN KEY ("data_key_id") REFERENCES "key_service"."data_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."provider_keys" ADD CONSTRAINT "provider_keys_organization_id_organizations_id_fk" FOREIGN KEY ("organization_id") REFERENCES "key_service"."organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_newest_first" ON "key_service"."api_keys" USING btree ("organization_id","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE UNIQUE INDEX "data_keys_one_current_per_organization" ON "key_service"."data_keys" USING btree ("organization_id") WHERE "key_service"."data_keys"."retired_at" is null and "key_service"."data_keys"."organization_id" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "data_keys_one_current_per_purpose" ON "key_service"."data_keys" USING btree ("purpose") WHERE "key_service"."data_keys"."retired_at" is null and "key_service"."data_keys"."organization_id" is null;--> statement-breakpoint
CREATE INDEX "provider_key_versions_data_key_id_index" ON "key_service"."provider_key_versions" USING btree ("data_key_id");--> statement-breakpoint
CREATE UNIQUE INDEX "provider_keys_one_per_provider" ON "key_service"."provider_keys" USING btree ("organization_id","provider");