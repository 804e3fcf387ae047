import { describe, expect, it } from 'vitest';
import { parseTable, printTable, type TableDefinition } from './definition.ts';
import { mergeSchemas, type ObjectDefinition, type Schema, type SchemaMerge } from './schema.ts';
import { mergeTable, type TableMerge } from './table.ts';

/** A table's definition; `~n` behind a column's name gives its id. */
function table(text: string | undefined): TableDefinition | undefined {
  if (text === undefined) return undefined;
  const ids = new Map([...text.matchAll(/(\w+)~(\d+)/g)].map(([, name, id]) => [name, Number(id)]));
  return parseTable(`CREATE TABLE t(${text.replaceAll(/~\d+/g, '')})`, (name) => ids.get(name));
}

function merge(base: string | undefined, ours: string | undefined, theirs: string | undefined): TableMerge {
  return mergeTable({ base: table(base), ours: table(ours), theirs: table(theirs) });
}

function merged({ definition, conflicts }: TableMerge): string | undefined {
  if (conflicts.length > 0)
    return `conflict: ${conflicts.map(({ what, name }) => `${what} ${name}`).join(', ')}`;
  return definition && printTable(definition).slice('CREATE TABLE "t"('.length, -1);
}

describe('a table’s definitions', () => {
  it.each<[string, string | undefined, string | undefined, string | undefined, string | undefined]>([
    ['a column added on our side', 'a', 'a, b', 'a', 'a, b'],
    ['a column added on their side', 'a', 'a', 'a, b INT', 'a, b INT'],
    ['different columns added', 'a', 'a, b', 'a, c', 'a, b, c'],
    ['the same column added', 'a', 'a, b INT DEFAULT 1', 'a, B int default 1', 'a, b INT DEFAULT 1'],
    ['a column added differently', 'a', 'a, b INT', 'a, b TEXT', 'conflict: column b'],
    ['a column dropped on one side', 'a, b', 'a', 'a, b', 'a'],
    ['a column dropped on both sides', 'a, b', 'a', 'a', 'a'],
    ['different columns dropped', 'a, b, c', 'a, c', 'a, b', 'a'],
    ['a column changed on their side', 'a, b', 'a, b', 'a, b NOT NULL', 'a, b NOT NULL'],
    ['different columns changed', 'a, b', 'a INT, b', 'a, b TEXT', 'a INT, b TEXT'],
    ['a column changed alike', 'a', 'a INT', 'a int', 'a INT'],
    ['a column changed differently', 'a', 'a INT', 'a TEXT', 'conflict: column a'],
    ['a column dropped and changed', 'a, b', 'a', 'a, b INT', 'conflict: column b'],
    ['a column changed and dropped', 'a, b', 'a, b INT', 'a', 'conflict: column b'],
    ['a column dropped, another added', 'a, b', 'a', 'a, b, c', 'a, c'],
    ['a column renamed on our side', 'a~1, b~2', 'x~1, b~2', 'a~1, b~2', 'x, b'],
    ['a column renamed on their side', 'a~1, b~2', 'a~1, b~2', 'a~1, x~2', 'a, "x"'],
    ['a column renamed alike', 'a~1', 'x~1', 'X~1', 'x'],
    ['a column renamed differently', 'a~1', 'x~1', 'y~1', 'conflict: column a'],
    ['a column renamed and changed', 'a~1 INT', 'x~1 INT', 'a~1 TEXT', 'x TEXT'],
    ['a column renamed and dropped', 'a~1, b~2', 'a~1, x~2', 'a~1', 'conflict: column b'],
    ['a column renamed to what the other added', 'a~1', 'x~1', 'a~1, x~2', 'conflict: column x'],
    [
      'a column renamed, and named by the other’s check',
      'a~1',
      'x~1',
      'a~1, CHECK (a > 0)',
      'x, CHECK ("x" > 0)',
    ],
    [
      'a column renamed with its check',
      'a~1, b~2, CHECK (a > 0)',
      'x~1, b~2, CHECK (x > 0)',
      'a~1, b~2 INT, CHECK (a > 0)',
      'x, b INT, CHECK (x > 0)',
    ],
    ['new columns of one id', 'a~1', 'a~1, b~2', 'a~1, c~2', 'a, b, c'],
    [
      'checks added on both sides',
      'a',
      'a, CHECK (a > 0)',
      'a, CHECK (a < 9)',
      'a, CHECK (a > 0), CHECK (a < 9)',
    ],
    ['the same check added', 'a', 'a, CHECK (a > 0)', 'a, check(A>0)', 'a, CHECK (a > 0)'],
    [
      'a check of one name added differently',
      'a',
      'a, CONSTRAINT c CHECK (a > 0)',
      'a, CONSTRAINT c CHECK (a > 1)',
      'conflict: constraint c',
    ],
    [
      'a check changed on one side',
      'a, CHECK (a > 0)',
      'a, CHECK (a > 0)',
      'a, CHECK (a > 1)',
      'a, CHECK (a > 1)',
    ],
    [
      'a check changed differently',
      'a, CHECK (a > 0)',
      'a, CHECK (a > 1)',
      'a, CHECK (a > 2)',
      'conflict: constraint check',
    ],
    [
      'a check dropped and changed',
      'a, CHECK (a > 0)',
      'a',
      'a, CHECK (a > 2)',
      'conflict: constraint check',
    ],
    ['a check dropped on one side', 'a, CHECK (a > 0)', 'a', 'a, CHECK (a > 0)', 'a'],
    [
      'foreign keys added on both sides',
      'a, b',
      'a, b, FOREIGN KEY (a) REFERENCES p',
      'a, b, FOREIGN KEY (b) REFERENCES p',
      'a, b, FOREIGN KEY (a) REFERENCES p, FOREIGN KEY (b) REFERENCES p',
    ],
    [
      'a foreign key changed differently',
      'a, FOREIGN KEY (a) REFERENCES p',
      'a, FOREIGN KEY (a) REFERENCES q',
      'a, FOREIGN KEY (a) REFERENCES r',
      'conflict: constraint foreign key',
    ],
    [
      'unique constraints added on both sides',
      'a, b',
      'a, b, UNIQUE (a)',
      'a, b, UNIQUE (b)',
      'a, b, UNIQUE (a), UNIQUE (b)',
    ],
    [
      'primary keys added differently',
      'a, b',
      'a, b, PRIMARY KEY (a)',
      'a, b, PRIMARY KEY (b)',
      'conflict: constraint primary key',
    ],
    [
      'a primary key changed on one side',
      'a, b, PRIMARY KEY (a)',
      'a, b, PRIMARY KEY (a, b)',
      'a, b, PRIMARY KEY (a)',
      'a, b, PRIMARY KEY (a, b)',
    ],
    [
      'a column dropped that the other’s check names',
      'a, b',
      'a',
      'a, b, CHECK (b > 0)',
      'conflict: constraint check',
    ],
    [
      'a column dropped that the other’s column names',
      'a, b',
      'a',
      'a, b, c AS (b + 1)',
      'conflict: column c',
    ],
    [
      'a column dropped whose name a check uses for something else',
      "a, text, CHECK (cast(a AS text) <> '')",
      "a, CHECK (cast(a AS text) <> '')",
      "a, text, CHECK (cast(a AS text) <> '')",
      "a, CHECK (cast(a AS text) <> '')",
    ],
    ['a table added on both sides', undefined, 'a INT, b', 'A int, B', 'a INT, b'],
    ['a table added differently', undefined, 'a', 'a, b', 'conflict: table t'],
    ['a table dropped on one side', 'a', undefined, 'a', undefined],
    ['a table dropped and changed', 'a', undefined, 'a, b', 'conflict: table t'],
    ['a table dropped on both sides', 'a', undefined, undefined, undefined],
    ['__proto__', 'a', 'a, __proto__', 'a, constructor', 'a, __proto__, constructor'],
  ])('%s', (_, base, ours, theirs, expected) => {
    expect(merged(merge(base, ours, theirs))).toBe(expected);
  });

  it('tell what each column is called on each side', () => {
    expect(merge('a~1, b~2', 'x~1, b~2, c', 'a~1, b~2, d').columns).toEqual([
      { base: 'a', ours: 'x', theirs: 'a' },
      { base: 'b', ours: 'b', theirs: 'b' },
      { base: undefined, ours: 'c', theirs: undefined },
      { base: undefined, ours: undefined, theirs: 'd' },
    ]);
  });

  it('merge their options', () => {
    const of = (options: string): TableDefinition | undefined =>
      parseTable(`CREATE TABLE t(a INT PRIMARY KEY) ${options}`);
    const { definition } = mergeTable({ base: of(''), ours: of('STRICT'), theirs: of('WITHOUT ROWID') });
    expect(definition).toMatchObject({ isStrict: true, isWithoutRowid: true });
  });

  it('say what a conflict is about', () => {
    expect(merge('a INT', 'a TEXT', 'a REAL').conflicts).toEqual([
      {
        what: 'column',
        name: 'a',
        description: 'both sides changed it, to different definitions',
        base: 'a INT',
        ours: 'a TEXT',
        theirs: 'a REAL',
      },
    ]);
  });
});

const EMPTY: Schema = { tables: [], objects: [] };

function schema(...statements: string[]): Schema {
  const tables = statements.flatMap((sql) => parseTable(sql) ?? []);
  const objects = statements.flatMap((sql): ObjectDefinition[] => {
    const [, type, name = '', on] =
      /^CREATE (?:UNIQUE )?(INDEX|VIEW|TRIGGER) (\w+)(?: .*?ON (\w+))?/i.exec(sql) ?? [];
    return type === undefined
      ? []
      : [{ type: type.toLowerCase() as ObjectDefinition['type'], name, table: on ?? name, sql }];
  });
  return { tables: tables.map((definition) => ({ definition })), objects };
}

const texts = ({ tables, objects, conflicts }: SchemaMerge): string[] =>
  conflicts.length > 0
    ? conflicts.map(({ what, name }) => `conflict: ${what} ${name}`)
    : [...tables.map(({ definition }) => printTable(definition)), ...objects.map(({ sql }) => sql)];

describe('schemas', () => {
  const T = 'CREATE TABLE t(a, b)';

  it.each<[string, string[], string[], string[], string[]]>([
    [
      'tables added on both sides',
      [],
      [T],
      ['CREATE TABLE u(a)'],
      ['CREATE TABLE "t"(a, b)', 'CREATE TABLE "u"(a)'],
    ],
    [
      'an index added on each side',
      [T],
      [T, 'CREATE INDEX i ON t(a)'],
      [T, 'CREATE INDEX j ON t(b)'],
      ['CREATE TABLE "t"(a, b)', 'CREATE INDEX i ON t(a)', 'CREATE INDEX j ON t(b)'],
    ],
    [
      'the same index added',
      [T],
      [T, 'CREATE INDEX i ON t(a)'],
      [T, 'create index "i" on t (A)'],
      ['CREATE TABLE "t"(a, b)', 'CREATE INDEX i ON t(a)'],
    ],
    [
      'an index added differently',
      [T],
      [T, 'CREATE INDEX i ON t(a)'],
      [T, 'CREATE INDEX i ON t(b)'],
      ['conflict: index i'],
    ],
    [
      'an index dropped on one side',
      [T, 'CREATE INDEX i ON t(a)'],
      [T],
      [T, 'CREATE INDEX i ON t(a)'],
      ['CREATE TABLE "t"(a, b)'],
    ],
    [
      'an index dropped and changed',
      [T, 'CREATE INDEX i ON t(a)'],
      [T],
      [T, 'CREATE INDEX i ON t(b)'],
      ['conflict: index i'],
    ],
    ['a table dropped with its index', [T, 'CREATE INDEX i ON t(a)'], [], [T, 'CREATE INDEX i ON t(a)'], []],
    ['a table dropped, an index added', [T], [], [T, 'CREATE INDEX i ON t(a)'], ['conflict: index i']],
    [
      'a view changed on one side',
      ['CREATE VIEW v AS SELECT 1'],
      ['CREATE VIEW v AS SELECT 1'],
      ['CREATE VIEW v AS SELECT 2'],
      ['CREATE VIEW v AS SELECT 2'],
    ],
    [
      'a view changed differently',
      ['CREATE VIEW v AS SELECT 1'],
      ['CREATE VIEW v AS SELECT 3'],
      ['CREATE VIEW v AS SELECT 2'],
      ['conflict: view v'],
    ],
    ['a view and a table of one name', [], ['CREATE VIEW t AS SELECT 1'], [T], ['conflict: view t']],
    [
      'a trigger dropped and changed',
      [T, 'CREATE TRIGGER g DELETE ON t BEGIN SELECT 1; END'],
      [T, 'CREATE TRIGGER g DELETE ON t BEGIN SELECT 2; END'],
      [T],
      ['conflict: trigger g'],
    ],
    [
      'an index and a trigger of one name',
      [T],
      [T, 'CREATE INDEX i ON t(a)'],
      [T, 'CREATE TRIGGER i DELETE ON t BEGIN SELECT 1; END'],
      [
        'CREATE TABLE "t"(a, b)',
        'CREATE INDEX i ON t(a)',
        'CREATE TRIGGER i DELETE ON t BEGIN SELECT 1; END',
      ],
    ],
  ])('%s', (_, base, ours, theirs, expected) => {
    const three = { base: schema(...base), ours: schema(...ours), theirs: schema(...theirs) };
    expect(texts(mergeSchemas(three))).toEqual(expected);
  });

  it('keep a table whose rows the other side changed', () => {
    const base = schema(T);
    const changed = { ...base, tables: base.tables.map((table) => ({ ...table, hasChanges: true })) };
    expect(texts(mergeSchemas({ base, ours: EMPTY, theirs: changed }))).toEqual(['conflict: table t']);
    expect(texts(mergeSchemas({ base, ours: changed, theirs: EMPTY }))).toEqual(['conflict: table t']);
    expect(texts(mergeSchemas({ base, ours: base, theirs: EMPTY }))).toEqual([]);
  });

  it('know a table that was made anew under its name', () => {
    const made = (id: number, sql: string, ids: readonly number[]): Schema => ({
      tables: [
        { id, definition: parseTable(sql, (name) => ids[sql.indexOf(name) > 16 ? 1 : 0]) as TableDefinition },
      ],
      objects: [],
    });
    const three = {
      base: made(1, 'CREATE TABLE t(a, b)', [1, 2]),
      ours: made(9, 'CREATE TABLE t(a NOT NULL, b)', [2, 1]),
      theirs: made(1, 'CREATE TABLE t(a, x)', [1, 2]),
    };
    expect(texts(mergeSchemas(three))).toEqual(['CREATE TABLE "t"(a NOT NULL, "x")']);
  });

  it('let indexes follow what the other side renamed', () => {
    const made = (sql: string, ids: readonly string[], objects: ObjectDefinition[] = []): Schema => ({
      tables: [
        {
          id: 1,
          definition: parseTable(sql, (name) => ids.indexOf(name)) as TableDefinition,
        },
      ],
      objects,
    });
    const index = (sql: string): ObjectDefinition => ({ type: 'index', name: 'i', table: 't', sql });
    const base = made('CREATE TABLE t(a, b)', ['a', 'b']);
    const ours = made('CREATE TABLE u(x, b)', ['x', 'b']);
    const theirs = made('CREATE TABLE t(a, b)', ['a', 'b'], [index('CREATE INDEX i ON t(a, b) WHERE a > 0')]);
    const follows = 'CREATE INDEX i ON "u"("x", b) WHERE "x" > 0';
    expect(texts(mergeSchemas({ base, ours, theirs }))).toEqual(['CREATE TABLE "u"(x, b)', follows]);
    expect(texts(mergeSchemas({ base, ours: theirs, theirs: ours }))).toEqual([
      'CREATE TABLE "u"("x", b)',
      follows,
    ]);
  });
});
