CREATE TABLE "key_service"."idempotent_replies" (
	"scope" "bytea" PRIMARY KEY NOT NULL,
	"request_id" text NOT NULL,
	"body_key_id" uuid NOT NULL,
	"body_mac" "bytea" NOT NULL,
	"data_key_id" uuid NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "idempotent_replies_scope_is_sha256" CHECK (octet_length("key_service"."idempotent_replies"."scope") = 32)
);
--> statement-breakpoint
ALTER TABLE "key_service"."idempotent_replies" ADD CONSTRAINT "idempotent_replies_data_key_id_data_keys_id_fk" FOREIGN KEY ("data_key_id") REFERENCES "key_service"."data_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "idempotent_replies_data_key_id_index" ON "key_service"."idempotent_replies" USING btree ("data_key_id");--> statement-breakpoint
CREATE INDEX "idempotent_replies_by_expiry" ON "key_service"."idempotent_replies" USING btree ("expires_at");