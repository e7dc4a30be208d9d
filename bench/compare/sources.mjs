// The rows that no run can measure. docs/comparison.md says where each fact was read.
import { figure, no, partly, yes } from './outcome.mjs'

/** In the order of CONTESTANTS. */
const row = (title, stowage, flydrive, filesSdk, flystorage, awsSdk) => ({
  title,
  outcomes: { stowage, flydrive, 'files-sdk': filesSdk, flystorage, 'aws-sdk': awsSdk },
})

export const sources = () => [
  row(
    'Backends',
    figure('disk, memory, R2 and S3 servers'),
    figure('disk, S3 servers, Google'),
    yes('48, with Azure, Google, Dropbox, SFTP'),
    figure('disk, memory, S3, Azure, Google'),
    figure('S3 servers'),
  ),
  row(
    'Age and users',
    no('new, hardly any users yet'),
    yes('since 2024; AdonisJS uses it'),
    figure('since May 2026; 20 committers'),
    yes('since 2023; by the author of Flysystem'),
    yes('since 2020; Amazon'),
  ),
  row(
    'Runtimes',
    figure('Node 20.19+, Bun, Deno'),
    figure('Node 24+'),
    yes('Node, Bun, Workers, edge'),
    figure('Node 20.1+'),
    yes('Node 20+, browsers, React Native'),
  ),
  row(
    'Drivers of your own',
    yes('an interface and its test suite'),
    yes('an interface'),
    yes('an interface and plugins'),
    yes('an interface'),
    figure('–'),
  ),
  row(
    'Public or private for each file (ACL)',
    no('one setting for a storage'),
    yes('`visibility`'),
    no('by bucket'),
    yes('`visibility`'),
    yes('`ACL`'),
  ),
  row(
    'Replace only the version you know (ETag)',
    no('no'),
    partly('S3, by `IfMatch`'),
    partly('S3, not R2, not disk'),
    partly('S3, by `IfMatch`'),
    yes('`IfMatch`'),
  ),
  row(
    'More in the box',
    figure('file server, forms, migration, expiry, local R2'),
    figure('fake disk for tests'),
    yes('CLI, React, Vue, Svelte, encryption, versions, AI tools'),
    figure('checksums, multer, chaos adapter'),
    yes('all of S3: versions, locks, tags, replication'),
  ),
]
