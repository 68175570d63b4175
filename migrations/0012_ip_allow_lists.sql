-- Where API keys may be used from. Nothing is written to rows that are there.
ALTER TABLE "key_service"."api_keys" ADD COLUMN "ip_allow_list" text[];