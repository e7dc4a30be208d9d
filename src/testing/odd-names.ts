/** A name for a case, and how to show it. */
export interface OddName {
  readonly label: string
  readonly name: string
}

/**
 * A name that is refused. As a folder argument it may be fine all the same: `'root'` for `list` and `listdir`, or
 * `'folder'` for `deletePrefix`, too.
 */
export interface RefusedName extends OddName {
  readonly asFolder?: 'root' | 'folder'
}

/** Names that every backend keeps, by class: gathered from what other suites and real users have tripped over. */
export const LEGAL_NAMES: Readonly<Record<string, readonly string[]>> = {
  // Nobody may decode or encode them once more.
  'percent signs, and what looks encoded': [
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
  ],
  'spaces, and signs that URLs, XML, shells and headers treat specially': [
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
  ],
  'signs of glob, brace and regular expressions': [
    'some/file[name].txt',
    'some/file[0].txt',
    'some[10]/file.txt',
    'some/file{name}.txt',
    'some/file{0}.txt',
    'some{10}/filename.txt',
    'a*b/c?d.txt',
  ],
  dots: [
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
  ],
  'words that mean something to a system, a language or a storage': [
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
  ],
  Unicode: [
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
  ],
}

/** Names of the greatest legal length. */
export const LONG_NAMES: readonly OddName[] = [
  long('a segment of 255 bytes of ASCII', `${'x'.repeat(251)}.txt`),
  long('a segment of 255 bytes of Unicode', '☺'.repeat(85)),
  long('a folder of 255 bytes', `${'x'.repeat(255)}/file.txt`),
  long('a segment of 252 bytes of emoji', `in/${'😀'.repeat(63)}`),
  long('fifty folders in each other', `${'d/'.repeat(50)}file.txt`),
]

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

/** Names that are refused, by class. */
export const REFUSED_NAMES: Readonly<Record<string, readonly RefusedName[]>> = {
  'an empty name': ['', '.', './', '././', '.\\.'].map((name) => odd(name, 'root')),
  'an absolute name': [
    ...['/', '//', '/.', '/a', '//a', '/a/', '\\', '\\a', '\\\\host\\a', 'C:\\a', 'c:/a', 'Z:/'].map((name) =>
      odd(name),
    ),
  ],
  'a name with a ".." segment': [
    ...['..', '../', '../a', './..', 'a/..', 'a/../b', 'a/b/../../b', 'x/../../b', 'a/b/..', '..\\a'].map(
      (name) => odd(name),
    ),
    ...['a\\..\\b', '../foo/../bar/../../baz../', '..\\foo\\..\\bar\\..\\..\\baz..\\', '.././a'].map((name) =>
      odd(name),
    ),
  ],
  'a name of a folder': [
    ...['a/', 'a//', 'a\\', 'a/.', 'a/./', 'a/.//', 'a/b/', ' !"#$%&\'()*+,-./'].map((name) =>
      odd(name, 'folder'),
    ),
  ],
  'a name with a control character': [
    ...['\0', 'a\0', 'some\0/path.txt', 'a.txt\0.png', 's\x09i.php', 'a\nb', 'a\r\nb', 'b\n', '\x7f'].map(
      (name) => odd(name),
    ),
    ...['a\x1b[31mb', 'c1\u0085control', '\u0080', '\u009f', 'a/\x01/b', '{|}~\x7f'].map((name) => odd(name)),
    odd(control(0x00, 0x0f)),
    odd(control(0x10, 0x1f)),
  ],
  'a name with a lone surrogate': [
    ...['\uD800', '\uD801', 'a\uDC00b', '\uDE00\uD83D', 'a/\uDBFF'].map((name) => odd(name)),
  ],
  'a name that is too long': [
    long('a segment of 256 bytes', 'x'.repeat(256)),
    long('a segment of 258 bytes of Unicode', '☺'.repeat(86)),
    long('a folder of 256 bytes', `${'x'.repeat(256)}/a`),
    long('a segment that Unicode normalisation makes longer than 255 bytes', '\u0958'.repeat(50)),
    long('1,025 bytes', nameOf(1025)),
    long('1,025 bytes of Unicode', nameOf(1025, '☺')),
    long('a megabyte', 'x'.repeat(1_000_000)),
    long('ten thousand folders', 'x/'.repeat(10_000)),
  ],
  'a name in the storage’s own folder': [
    ...['.stowage', '.stowage/x', 'a/.stowage', 'a/.stowage/x', '.Stowage/x', '.STOWAGE', '.stowage.'].map(
      (name) => odd(name),
    ),
    ...['.stowage /x', 'a/.sToWaGe. . ./x', './.stowage', '.stowage\\x'].map((name) => odd(name)),
  ],
}

function odd(name: string, asFolder?: 'root' | 'folder'): RefusedName {
  return { label: shown(name), name, ...(asFolder && { asFolder }) }
}

function long(label: string, name: string): OddName {
  return { label, name }
}

function control(from: number, to: number): string {
  return String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, index) => from + index))
}

/** A name in a message: on one line and in ASCII, so that no two look the same. */
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
