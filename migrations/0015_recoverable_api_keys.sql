CREATE TABLE "key_service"."api_key_copies" (
	"api_key_id" uuid PRIMARY KEY NOT NULL,
	"data_key_id" uuid NOT NULL,
	"sealed" "bytea" NOT NULL,
	"default_of" uuid,
	CONSTRAINT "api_key_copies_default_of_unique" UNIQUE("default_of")
);
--> statement-breakpoint
ALTER TABLE "key_service"."api_key_copies" ADD CONSTRAINT "api_key_copies_api_key_id_api_keys_id_fk" FOREIGN KEY ("api_key_id") REFERENCES "key_service"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."api_key_copies" ADD CONSTRAINT "api_key_copies_data_key_id_data_keys_id_fk" FOREIGN KEY ("data_key_id") REFERENCES "key_service"."data_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."api_key_copies" ADD CONSTRAINT "api_key_copies_default_of_organizations_id_fk" FOREIGN KEY ("default_of") REFERENCES "key_service"."organizations"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_key_copies_data_key_id_index" ON "key_service"."api_key_copies" USING btree ("data_key_id");--> statement-breakpoint
-- A copy is destroyed with the change that ends its key, or puts another in its place, whoever makes it: any version of the
-- service, a report of a leak, the end of an organisation, an operator with SQL.
CREATE FUNCTION "key_service"."destroy_api_key_copy"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM "key_service"."api_key_copies" WHERE "api_key_id" = NEW."id";
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "destroy_copy" AFTER UPDATE OF "revoked_at", "rotated_to" ON "key_service"."api_keys"
	FOR EACH ROW WHEN (NEW."revoked_at" IS NOT NULL OR NEW."rotated_to" IS NOT NULL)
	EXECUTE FUNCTION "key_service"."destroy_api_key_copy"();
