/**
 * Loaded into a server beside its own program (`--import`, with `--expose-gc`), where memory is measured and nothing
 * else: collects garbage when it is asked to, and says what is left.
 */
process.on('message', () => {
  globalThis.gc?.();
  globalThis.gc?.();
  process.send?.(process.memoryUsage());
});
// It keeps no server from ending.
process.channel?.unref();
