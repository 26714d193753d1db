/** The one executable: hands over to the app that the first word names, loading nothing else. */
const args = process.argv.slice(2);
if (args[0] === 'agent') {
  const { main } = await import('./agent/main.js');
  await main(args.slice(1));
} else {
  const { main } = await import('./ctl/main.js');
  await main(args);
}
