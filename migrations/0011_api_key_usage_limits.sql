-- Keys that may be used so many times only. The count has a table of its own: a use changes nothing that is remembered of a
-- key, makes no change of it wait, and is not announced. Nothing is written to rows that are there.
CREATE TABLE "key_service"."api_key_usage_limits" (
	"id" uuid PRIMARY KEY NOT NULL,
	"remaining" bigint NOT NULL,
	"refill_amount" bigint,
	"refill_interval" text,
	"refill_at" timestamp (3) with time zone,
	CONSTRAINT "api_key_usage_limits_not_below_zero" CHECK ("key_service"."api_key_usage_limits"."remaining" >= 0),
	CONSTRAINT "api_key_usage_limits_refill_fits" CHECK (("key_service"."api_key_usage_limits"."refill_amount" is null) = ("key_service"."api_key_usage_limits"."refill_interval" is null) and ("key_service"."api_key_usage_limits"."refill_amount" is null) = ("key_service"."api_key_usage_limits"."refill_at" is null))
);
--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ADD COLUMN "usage_limit_id" uuid;--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ADD COLUMN "usage_limited" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ADD CONSTRAINT "api_keys_usage_limit_id_api_key_usage_limits_id_fk" FOREIGN KEY ("usage_limit_id") REFERENCES "key_service"."api_key_usage_limits"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "key_service"."api_keys" ADD CONSTRAINT "api_keys_usage_limit_fits" CHECK ("key_service"."api_keys"."usage_limit_id" is not null or not "key_service"."api_keys"."usage_limited");--> statement-breakpoint
-- A use rewrites a row in its own page, which no index speaks of: half of each page is left for that.
ALTER TABLE "key_service"."api_key_usage_limits" SET (fillfactor = 50);--> statement-breakpoint
-- When calendar days or months begin next, in UTC whatever the session's time zone is; null for neither.
CREATE FUNCTION "key_service"."next_refill"(unit text, instant timestamp with time zone) RETURNS timestamp with time zone
	LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT (date_trunc(unit, instant AT TIME ZONE 'UTC')
		+ CASE unit WHEN 'day' THEN interval '1 day' WHEN 'month' THEN interval '1 month' END) AT TIME ZONE 'UTC'
$$;
