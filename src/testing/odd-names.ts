/** Names that every backend keeps as they are: gathered from what other suites and real users have tripped over. */
export const LEGAL_NAMES: readonly string[] = [
  // Percent signs and what looks encoded: nobody may decode or encode them once more.
  'a/b%2Fc/foo.file',
  '%48%45%4C%4C%4F/foo.parquet',
  '%Q.parquet',
  '%FF',
  'L%3ABC.parquet',
  'foo%2F%252E%252E%2Fbar',
  'foo/%2E%2E/bar',
  '%2e%2e%2f',
  'anyfilename%25.txt',
  'anyfilename%.txt',
  'a%00b.txt',
  'a%2Fa.file',
  'a/a%2F.file',
  // Spaces, signs that URLs, XML, shells and headers treat specially.
  'foo bar/I contain spaces.parquet',
  'foo bar baz',
  'some dir/filename.txt',
  'somedir/file name.txt',
  ' ',
  ' leading space',
  'trailing space ',
  'folder /file',
  'two  spaces',
  '_ ',
  '_ _',
  '_',
  '__',
  '"',
  '$',
  '%',
  '&',
  "'",
  '<',
  '>',
  '@',
  '`',
  '+',
  '#',
  '?',
  '*',
  '~',
  '12345',
  'foo"bar"baz',
  "I'm a < & weird path",
  ' !"#$%&\'()*+,-.',
  ':;<=>?',
  '[]^_',
  '{|}~',
  " !@#$%^&()_+-=;',.txt",
  "special_dir  !@#$%^&()_+-=;',/special_file  !@#$%^&()_+-=;',",
  'report (1).pdf',
  'v1.2 final.pdf',
  'a&b=c',
  'a=b;c=d',
  'asdf+b',
  'foo+1/bar',
  'quux ab/thud',
  '1999#',
  '1999+',
  '#frag',
  'foo#123/test#23.txt',
  'foo#123/test#34',
  '?x=1',
  '?versionId',
  '?versionId=null',
  'file.txt?X-Amz-Signature=abc',
  'file:name.parquet',
  'a:b',
  'a|b',
  '-rf',
  '--help',
  '$(id)',
  // What glob, brace and regular expressions would eat.
  'some/file[name].txt',
  'some/file[0].txt',
  'some[10]/file.txt',
  'some/file{name}.txt',
  'some/file{0}.txt',
  'some{10}/filename.txt',
  'a*b/c?d.txt',
  // Dots.
  '...',
  '....',
  '..a',
  'a..',
  'a..b',
  'a../b',
  '..a/b',
  'dirname./x',
  'aux.',
  '.env',
  '.hidden/.file',
  'example/path/..txt',
  '00004869/files/other/10-75..stl',
  // Names that mean something to a system, a language or a storage.
  'con',
  'nul.txt',
  'index.html',
  'favicon.ico',
  'undefined',
  'null',
  '__proto__',
  '__proto__/constructor',
  'constructor',
  'hasOwnProperty',
  'toString',
  'lost+found/x',
  'stowage',
  '.stowagex',
  '.stowage-1/x',
  'x.stowage/y',
  '.tmp',
  'file.tmp',
  'file.attrs',
  'file.json',
  'file.meta',
  'file~',
  '.file.swp',
  // Unicode.
  '🙀/😀.parquet',
  '🇦🇺/$shenanigans@@~.txt',
  'foo😁/test#34',
  'foo/test#😁34',
  'a/😀.file',
  '🐂🍺中文.docx',
  '☺☺☺',
  'é.txt',
  'Größe/ΑΒΓ/пример.txt',
  '日本語/ファイル名.txt',
  'مرحبا.txt',
  'नमस्ते.txt',
  '👩‍👩‍👧‍👦.png',
  'line\u2028separator',
  'paragraph\u2029separator',
  'bidi\u202Efdp.exe',
  'zero\u200Bwidth',
  '\uFEFFbom',
  'fullwidth\uFF0Fslash',
  'fullwidth\uFF3Cbackslash',
  'division\u2215slash',
  'one\u2024dot leader\u2025\u2026',
  'no\u00A0break',
  'soft\u00ADhyphen',
  'private\uE000use',
  'replacement\uFFFD',
  'noncharacter\uFFFE',
  'noncharacter\uFFFF',
  'highest\u{10FFFF}',
]

/** Legal names too long to show: what they are, and the name. */
export const LONG_NAMES: Readonly<Record<string, string>> = {
  'a segment of 255 bytes of ASCII': `${'x'.repeat(251)}.txt`,
  'a segment of 255 bytes of Unicode': '☺'.repeat(85),
  'a folder of 255 bytes': `${'x'.repeat(255)}/file.txt`,
  'a segment of 252 bytes of emoji': `in/${'😀'.repeat(63)}`,
  'fifty folders in each other': `${'d/'.repeat(50)}file.txt`,
}

/** What is asked for, and the name that it is. */
export const NORMALISED_NAMES: readonly (readonly [input: string, stored: string])[] = [
  ['foo//bar', 'foo/bar'],
  ['foo//bar///baz', 'foo/bar/baz'],
  ['a/./b', 'a/b'],
  ['./a', 'a'],
  ['./dir/.///./x', 'dir/x'],
  ['a/./b/././c', 'a/b/c'],
  ['foo\\bar\\baz', 'foo/bar/baz'],
  ['.\\foo\\\\bar\\.\\baz', 'foo/bar/baz'],
  ['[\\]^_', '[/]^_'],
  ['cafe\u0301.txt', 'caf\u00E9.txt'],
  ['e\u0301/o\u0308.txt', '\u00E9/\u00F6.txt'],
  ['\u1112\u1161\u11AB.txt', '\uD55C.txt'],
  ['\u212B.txt', '\u00C5.txt'],
  [`${'e\u0301'.repeat(120)}`, '\u00E9'.repeat(120)],
]

/**
 * A name that is refused. As a folder argument it may be fine all the same: `'root'` for `list` and `listdir`, or
 * `'folder'` for `deletePrefix`, too.
 */
export interface RefusedName {
  readonly label: string
  readonly name: string
  readonly asFolder?: 'root' | 'folder'
}

const refused = (name: string, asFolder?: 'root' | 'folder'): RefusedName => ({
  label: shown(name),
  name,
  ...(asFolder && { asFolder }),
})

const long = (label: string, name: string): RefusedName => ({ label, name })

const control = (from: number, to: number) =>
  String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, index) => from + index))

export const REFUSED_NAMES: readonly RefusedName[] = [
  // Empty.
  refused('', 'root'),
  refused('.', 'root'),
  refused('./', 'root'),
  refused('././', 'root'),
  refused('.\\.', 'root'),
  // Absolute.
  ...['/', '//', '/.', '/a', '//a', '/a/', '\\', '\\a', '\\\\host\\a', 'C:\\a', 'c:/a', 'Z:/'].map((name) =>
    refused(name),
  ),
  // Out of the folder.
  ...['..', '../', '../a', './..', 'a/..', 'a/../b', 'a/b/../../b', 'x/../../b', 'a/b/..', '..\\a'].map(
    (name) => refused(name),
  ),
  ...['a\\..\\b', '../foo/../bar/../../baz../', '..\\foo\\..\\bar\\..\\..\\baz..\\', '.././a'].map((name) =>
    refused(name),
  ),
  // Folders.
  ...['a/', 'a//', 'a\\', 'a/.', 'a/./', 'a/.//', 'a/b/'].map((name) => refused(name, 'folder')),
  refused(' !"#$%&\'()*+,-./', 'folder'),
  // Control characters.
  ...['\0', 'a\0', 'some\0/path.txt', 'a.txt\0.png', 's\x09i.php', 'a\nb', 'a\r\nb', 'b\n', '\x7f'].map(
    (name) => refused(name),
  ),
  ...['a\x1b[31mb', 'c1\u0085control', '\u0080', '\u009f', 'a/\x01/b', '{|}~\x7f'].map((name) =>
    refused(name),
  ),
  refused(control(0x00, 0x0f)),
  refused(control(0x10, 0x1f)),
  // No Unicode.
  ...['\uD800', '\uD801', 'a\uDC00b', '\uDE00\uD83D', 'a/\uDBFF'].map((name) => refused(name)),
  // Too long.
  long('a segment of 256 bytes', 'x'.repeat(256)),
  long('a segment of 258 bytes of Unicode', '☺'.repeat(86)),
  long('a folder of 256 bytes', `${'x'.repeat(256)}/a`),
  long('a segment that Unicode normalisation makes longer than 255 bytes', '\u0958'.repeat(50)),
  long('1,025 bytes', nameOf(1025)),
  long('1,025 bytes of Unicode', nameOf(1025, '☺')),
  long('a megabyte', 'x'.repeat(1_000_000)),
  long('ten thousand folders', 'x/'.repeat(10_000)),
  // The storage's own folder.
  ...['.stowage', '.stowage/x', 'a/.stowage', 'a/.stowage/x', '.Stowage/x', '.STOWAGE', '.stowage.'].map(
    (name) => refused(name),
  ),
  ...['.stowage /x', 'a/.sToWaGe. . ./x', './.stowage', '.stowage\\x'].map((name) => refused(name)),
]

/** A name in the title of a case: on one line and in ASCII, so that no two look the same. */
export function shown(name: string): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(name).replace(/[\x7f-\uffff]/g, escaped)
}

/** A name of this many bytes, whose segments are all of a legal length. */
export function nameOf(bytes: number, character = 'n'): string {
  const width = Buffer.byteLength(character)
  const segment = character.repeat(Math.floor(200 / width))
  let name = ''
  while (bytes - Buffer.byteLength(name) > 250) name += `${segment}/`
  const rest = bytes - Buffer.byteLength(name)
  return name + character.repeat(Math.floor(rest / width)) + 'n'.repeat(rest % width)
}
