-- A key that was rotated and the one that took its place name each other. Nothing is written to rows that are there.
ALTER TABLE "key_service"."api_keys" ADD COLUMN "rotated_to" uuid;--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ADD COLUMN "rotated_from" uuid;--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ADD CONSTRAINT "api_keys_rotated_to_api_keys_id_fk" FOREIGN KEY ("rotated_to") REFERENCES "key_service"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ADD CONSTRAINT "api_keys_rotated_from_api_keys_id_fk" FOREIGN KEY ("rotated_from") REFERENCES "key_service"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_rotated_once" ON "key_service"."api_keys" USING btree ("rotated_from") WHERE "key_service"."api_keys"."rotated_from" is not null;
