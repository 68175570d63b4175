# What every stage that installs packages starts from. It changes only with the list of packages, so that a change of
# the sources alone installs nothing again.
FROM node:20-slim AS packages
WORKDIR /app
RUN npm install --global pnpm@10.34.9
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./

# The compiler, and what it makes. The optional packages are the embedded PostgreSQL, which is for development.
FROM packages AS build
RUN pnpm install --no-optional --frozen-lockfile
COPY tsconfig.json tsconfig.build.json ./
COPY development/clean.mjs development/
COPY migrations migrations
COPY src src
# Whatever the modes of the checkout are, the service's user can read what it runs.
RUN npm run build && chmod -R a+rX dist migrations package.json

FROM packages AS production
RUN pnpm install --prod --no-optional --frozen-lockfile

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=production /app/node_modules node_modules
COPY --from=build /app/package.json ./
COPY --from=build /app/migrations migrations
COPY --from=build /app/dist dist
USER node
EXPOSE 3001
STOPSIGNAL SIGTERM
# The port opens when the database is reached and migrated, which a start may wait for.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT?.trim() || 3001}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]
