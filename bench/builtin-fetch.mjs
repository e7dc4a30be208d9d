// Imported before undici: whichever of the two is loaded first gives the global `fetch` its dispatcher, and s3mini, which
// uses that fetch, fails on Node 20 with the dispatcher of undici 7 ("invalid content-length header").
await (await fetch('data:,')).text()
