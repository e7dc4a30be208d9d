// Import this before undici. The first of the two sets the dispatcher of the global `fetch`, which s3mini uses. On Node
// 20 s3mini fails with the dispatcher of undici 7 ("invalid content-length header").
await (await fetch('data:,')).text()
