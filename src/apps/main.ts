/** The one executable: hands over to the app that the first word names, loading nothing else. */
// We keep JSON in the store, so its own codec needs no native helper: one library less to load.
process.env['MSGPACKR_NATIVE_ACCELERATION_DISABLED'] ??= 'true';

const args = process.argv.slice(2);
if (args[0] === 'agent') {
  const { main } = await import('./agent/main.js');
  await main(args.slice(1));
} else if (args[0] === 'cni') {
  const { main } = await import('./cni/main.js');
  await main(args.slice(1));
} else if (args.length === 0 && process.env['CNI_COMMAND'] !== undefined) {
  // Started by a container runtime, under whatever name it is linked in its folder of plugins.
  const { main } = await import('./cni/main.js');
  await main([]);
} else {
  const { main } = await import('./ctl/main.js');
  await main(args);
}
