// The figures that the package has to reach, judged by the medians of one run.
import { median } from './rounds.mjs'

const S3_PEERS = ['@aws-sdk', 'flydrive', 'files-sdk', 'flystorage', 's3mini', 'minio']
const FS_PEERS = ['flydrive', 'files-sdk', 'flystorage', 'unstorage']
/** unstorage's `exists` is synchronous and blocks the process. It is reported, but not compared. */
const BLOCKING = { exists: 'unstorage' }

/** The median of the ratios within each round. Two contestants of one round had the same machine load. */
export function ratio(own, other) {
  return median(own.map((value, round) => value / other[round]))
}

/** `{ row, must, aim, measured }` for each figure that this run has measured. `must` and `aim` are PASS or MISS. */
export function judge({ s3 = {}, fs = {}, fsSingle = {}, up, down, list, deleteMany, start, plan }) {
  const verdicts = []
  const mark = (met) => (met ? 'PASS' : 'MISS')
  const add = (row, must, aim, measured) =>
    verdicts.push({
      row,
      must: mark(must),
      aim: aim === undefined ? '' : mark(aim),
      measured: measured.join(', '),
    })
  const times = (value) => `${value.toFixed(2)} ×`

  for (const call of ['save', 'open', 'exists', 'delete']) {
    const results = s3[call]
    if (!results?.stowage) continue
    const own = results.stowage.cpu
    const floor = ratio(own, results.floor.cpu)
    const sdk = ratio(own, results['@aws-sdk'].cpu)
    const peers = against(own, results, S3_PEERS, 'cpu')
    add(
      `S3 ${NAMES[call]}: CPU ≤ 1.6 × floor (aim 1.25), ≤ ⅓ of the AWS SDK, below every peer`,
      floor <= 1.6 && sdk <= 1 / 3 && peers.worst < 1,
      floor <= 1.25,
      [`${times(floor)} floor`, `${times(sdk)} SDK`, peers.text],
    )
  }
  if (s3.saveNew?.stowage) {
    const { cpu, requests } = s3.saveNew.stowage
    const floor = ratio(cpu, s3.saveNew.floor.cpu)
    add(
      'S3 save, free name (default): CPU ≤ 1.8 × floor (aim 1.4), one request',
      floor <= 1.8 && requests === 1,
      floor <= 1.4,
      [`${times(floor)} floor`, `${requests} request${requests === 1 ? '' : 's'}`],
    )
  }
  if (s3.signedUrl?.stowage) {
    const faster = ratio(s3.signedUrl['@aws-sdk'].cpu, s3.signedUrl.stowage.cpu)
    const floor = ratio(s3.signedUrl.stowage.cpu, s3.signedUrl.floor.cpu)
    add('S3 signedUrl: ≥ 20 × faster than the presigner (aim 40)', faster >= 20, faster >= 40, [
      `${faster.toFixed(1)} × faster`,
      `${times(floor)} floor`,
    ])
  }
  const size = `${Math.round((plan?.streamBytes ?? 0) / 2 ** 20)} MiB`
  if (up?.stowage) {
    const lib = ratio(up.stowage.cpu, up['@aws-sdk'].cpu)
    const floor = ratio(up.stowage.cpu, up.floor.cpu)
    const rss = median(up.stowage.rss)
    add(
      `stream up, ${size}: CPU ≤ ½ of lib-storage (aim 1.5 × floor), RSS growth ≤ 64 MiB (aim 48)`,
      lib <= 0.5 && rss <= 64,
      floor <= 1.5 && rss <= 48,
      [`${times(lib)} lib-storage`, `${times(floor)} floor`, growth(rss, up)],
    )
  }
  if (down?.stowage) {
    const cpu = ratio(down.stowage.cpu, down.floor.cpu)
    const wall = ratio(down.stowage.wall, down.floor.wall)
    const rss = median(down.stowage.rss)
    add(
      `stream down, ${size}: CPU and wall ≤ 1.25 × floor (aim 1.05), RSS growth ≤ 64 MiB`,
      cpu <= 1.25 && wall <= 1.25 && rss <= 64,
      cpu <= 1.05 && wall <= 1.05,
      [`CPU ${times(cpu)}`, `wall ${times(wall)}`, growth(rss, down)],
    )
  }
  for (const [call, title, peers] of [
    ['save', 'filesystem save, fsync off, no overwrite', true],
    ['saveDurable', 'filesystem save, fsync on', false],
    ['open', 'filesystem open+bytes', true],
    ['exists', 'filesystem exists', true],
  ]) {
    const results = fs[call]
    if (!results?.stowage) continue
    const speed = ratio(results.floor.wall, results.stowage.wall)
    const rivals = FS_PEERS.filter((peer) => BLOCKING[call] !== peer)
    const beside = peers ? against(results.stowage.wall, results, rivals, 'wall') : { worst: 0 }
    const blocking = results[BLOCKING[call]]
    const synchronous = blocking
      ? [
          `${ratio(results.stowage.wall, blocking.wall).toFixed(1)} × ${BLOCKING[call]}'s, which is synchronous`,
        ]
      : []
    add(
      `${title}: ≥ 0.7 × the speed of the system calls (aim 0.85)${peers ? ', faster than every peer' : ''}`,
      speed >= 0.7 && beside.worst < 1,
      speed >= 0.85,
      [`${times(speed)} raw`, ...alone(fsSingle[call]), ...(peers ? [beside.text] : []), ...synchronous],
    )
  }
  if (start?.['stowage, first save']) {
    const own = start['stowage, first save']
    const bare = median(start['node -e 0'].wall)
    const over = median(own.wall) - bare
    const only = median(start['import stowage'].wall) - bare
    add(
      'import and first filesystem save: ≤ 40 ms over bare Node (aim 20), no AWS module',
      over <= 40 && own.aws === 0,
      over <= 20,
      [
        `${over.toFixed(0)} ms`,
        `import alone ${only.toFixed(0)} ms`,
        `${own.modules} modules, ${own.aws} of AWS`,
      ],
    )
  }
  if (list?.stowage) {
    const retained = median(list.stowage.retained)
    const cpu = ratio(list.stowage.cpu, list['@aws-sdk'].cpu)
    add(
      `list of ${plan.listed.toLocaleString('en')}: memory constant (aim: half of the SDK's CPU)`,
      retained <= 2,
      cpu <= 0.5,
      [
        `${retained.toFixed(1)} MiB retained`,
        growth(median(list.stowage.rss), list),
        `${times(cpu)} SDK's CPU`,
      ],
    )
  }
  if (deleteMany?.stowage) {
    const requests = median(deleteMany.stowage.requests)
    const needed = Math.ceil(plan.deleted / 1000)
    add(
      `deleteMany of ${plan.deleted.toLocaleString('en')}: ${needed} requests`,
      requests === needed,
      undefined,
      [
        `${requests} requests`,
        `${times(ratio(deleteMany.stowage.cpu, deleteMany['@aws-sdk'].cpu))} SDK's CPU`,
      ],
    )
  }
  return verdicts
}

export const NAMES = {
  save: 'save',
  saveNew: 'save, free name',
  open: 'open+bytes',
  exists: 'exists',
  delete: 'delete',
  signedUrl: 'signedUrl',
}

/** The ratio to the best peer. */
function against(own, results, peers, metric) {
  const ratios = peers
    .filter((peer) => results[peer])
    .map((peer) => [peer, ratio(own, results[peer][metric])])
    .sort((a, b) => b[1] - a[1])
  const [worst] = ratios
  return worst
    ? { worst: worst[1], text: `${worst[1].toFixed(2)} × the best peer (${worst[0]})` }
    : { worst: 0, text: '' }
}

/** The ratio to the floor, one at a time. */
const alone = (results) =>
  results ? [`one at a time ${ratio(results.floor.wall, results.stowage.wall).toFixed(2)} ×`] : []

const growth = (rss, results) => `+${rss.toFixed(0)} MiB RSS (floor +${median(results.floor.rss).toFixed(0)})`
