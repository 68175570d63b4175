// Preloaded into a service that a development command starts. The channel to that command closes when
// it ends, even by kill -9: then the service stops as it would at SIGTERM, or at least ends.

const LIMIT_MS = 10_000;

if (process.channel) {
  process.once('disconnect', () => {
    setTimeout(() => process.exit(1), LIMIT_MS).unref();
    process.kill(process.pid, 'SIGTERM');
  });
  // Listening for the end of the channel is no reason to keep running.
  process.channel.unref();
}
