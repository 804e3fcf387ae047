import { lowerName } from '../sql/token.ts';
import {
  columnsIn,
  namedColumn,
  printTable,
  renamed,
  sameText,
  type ColumnDefinition,
  type ConstraintDefinition,
  type Renames,
  type TableDefinition,
} from './definition.ts';
import { alignColumns, alignConstraints, type Three } from './elements.ts';

/** What both sides changed, but not to the same, or what one dropped while the other changed it. */
export interface SchemaConflict {
  readonly what: 'table' | 'column' | 'constraint' | 'index' | 'view' | 'trigger';
  readonly name: string;
  readonly description: string;
  /** The definition on each side; undefined where there is none. */
  readonly base: string | undefined;
  readonly ours: string | undefined;
  readonly theirs: string | undefined;
}

/** The definition that merging gives, undefined for none; meaningless where there are conflicts. */
export interface TableMerge {
  readonly definition: TableDefinition | undefined;
  /** What each column of the definition is called on each side that has it. */
  readonly columns: readonly Three<string>[];
  /** What each side's columns that are called otherwise now are called, by their names in lower case. */
  readonly renames: Readonly<Record<Side, Renames>>;
  readonly conflicts: readonly SchemaConflict[];
}

/** The base of a merge, and what is merged. */
export type Side = 'base' | 'ours' | 'theirs';

const SIDES = ['base', 'ours', 'theirs'] as const;

/**
 * One thing merged as a whole: what one side changed, added or dropped is done, what both did alike is done once, and
 * anything else is a conflict, undefined.
 */
export function mergeWhole<T>(
  { base, ours, theirs }: Three<T>,
  same: (a: T | undefined, b: T | undefined) => boolean,
): { readonly value: T | undefined } | undefined {
  if (same(ours, theirs) || same(base, theirs)) return { value: ours };
  return same(base, ours) ? { value: theirs } : undefined;
}

/** What happened to one thing on the two sides, in words. */
export function describeConflict<T>({ base, ours, theirs }: Three<T>): string {
  if (base === undefined) return 'both sides added it, with different definitions';
  if (ours === undefined) return 'our side dropped it, their side changed it';
  return theirs === undefined
    ? 'our side changed it, their side dropped it'
    : 'both sides changed it, to different definitions';
}

/**
 * Merges one table's definitions three-way: columns, constraints and options each by itself, so that different ones can
 * be changed on both sides. Ours keeps its order, and what theirs added comes last. A column renamed on one side is
 * renamed in what the other side says of it.
 */
export function mergeTable({ base, ours, theirs }: Three<TableDefinition>): TableMerge {
  if (base === undefined || ours === undefined || theirs === undefined) {
    const whole = mergeWhole({ base, ours, theirs }, sameTable);
    const definition = whole === undefined ? ours : whole.value;
    return {
      definition,
      columns: namesOf({ base, ours, theirs }, definition),
      renames: { base: new Map(), ours: new Map(), theirs: new Map() },
      conflicts: whole === undefined ? [tableConflict({ base, ours, theirs })] : [],
    };
  }
  return new TableMerging({ base, ours, theirs }).run();
}

function namesOf(tables: Three<TableDefinition>, definition: TableDefinition | undefined): Three<string>[] {
  return (definition?.columns ?? []).map((column) => {
    const on = (side: Side): string | undefined =>
      tables[side]?.columns.find((other) => equalNames(other.name, column.name))?.name;
    return { base: on('base'), ours: on('ours'), theirs: on('theirs') };
  });
}

function tableConflict(three: Three<TableDefinition>): SchemaConflict {
  const print = (side: TableDefinition | undefined): string | undefined => side && printTable(side);
  return {
    what: 'table',
    name: (three.ours ?? three.theirs ?? three.base)?.name ?? '',
    description: describeConflict(three),
    base: print(three.base),
    ours: print(three.ours),
    theirs: print(three.theirs),
  };
}

/** Whether two definitions say the same, column order included. */
export function sameTable(a: TableDefinition | undefined, b: TableDefinition | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return sameText(printTable(canonical(a)), printTable(canonical(b)));
}

/** With every name spelled the same way. */
function canonical(table: TableDefinition): TableDefinition {
  return {
    ...table,
    columns: table.columns.map((column) => ({
      ...column,
      text: namedColumn({ ...column, name: '' }, lowerName(column.name), column.rest).text,
    })),
  };
}

class TableMerging {
  readonly #tables: Readonly<Record<Side, TableDefinition>>;
  readonly #columns: readonly Three<ColumnDefinition>[];
  readonly #conflicts: SchemaConflict[] = [];
  /** For each side, what its columns are called in the end where that is another name. */
  readonly #renames: Readonly<Record<Side, Map<string, string>>> = {
    base: new Map(),
    ours: new Map(),
    theirs: new Map(),
  };

  constructor(tables: Record<Side, TableDefinition>) {
    this.#tables = tables;
    this.#columns = alignColumns(tables.base.columns, tables.ours.columns, tables.theirs.columns);
  }

  run(): TableMerge {
    const { base, ours, theirs } = this.#tables;
    const names = new Map(this.#columns.map((three) => [three, this.#nameOf(three)]));
    for (const [three, name] of names)
      for (const side of SIDES) {
        const own = three[side]?.name;
        if (own !== undefined && own !== name) this.#renames[side].set(lowerName(own), name);
      }
    const merged = this.#columns.flatMap((three) => {
      const column = this.#column(three, names.get(three) as string);
      return column === undefined ? [] : [{ three, column }];
    });
    const columns = merged.map(({ column }) => column);
    this.#refuseTwins(columns);
    const constraints = this.#constraints();
    this.#refuseDangling(columns, constraints);
    const name = this.#tableName();
    const option = (of: (table: TableDefinition) => boolean): boolean =>
      of(ours) === of(base) ? of(theirs) : of(ours);
    return {
      definition: {
        name,
        columns,
        constraints,
        isWithoutRowid: option(({ isWithoutRowid }) => isWithoutRowid),
        isStrict: option(({ isStrict }) => isStrict),
      },
      columns: merged.map(({ three }) => ({
        base: three.base?.name,
        ours: three.ours?.name,
        theirs: three.theirs?.name,
      })),
      renames: this.#renames,
      conflicts: this.#conflicts,
    };
  }

  #tableName(): string {
    const { base, ours, theirs } = this.#tables;
    const merged = mergeWhole({ base: base.name, ours: ours.name, theirs: theirs.name }, equalNames);
    if (merged?.value !== undefined) return merged.value;
    this.#conflict('table', base.name, 'both sides renamed it, to different names', {
      base: base.name,
      ours: ours.name,
      theirs: theirs.name,
    });
    return ours.name;
  }

  /** What a column is called in the end. */
  #nameOf({ base, ours, theirs }: Three<ColumnDefinition>): string {
    const own = (ours ?? theirs ?? base) as ColumnDefinition;
    if (ours === undefined || theirs === undefined) return own.name;
    const merged = mergeWhole({ base: base?.name, ours: ours.name, theirs: theirs.name }, equalNames);
    if (merged?.value !== undefined) return merged.value;
    this.#conflict('column', base?.name ?? own.name, 'both sides renamed it, to different names', {
      base: base?.text,
      ours: ours.text,
      theirs: theirs.text,
    });
    return own.name;
  }

  #column(three: Three<ColumnDefinition>, name: string): ColumnDefinition | undefined {
    const restOf = (side: Side): string | undefined => {
      const column = three[side];
      return column && renamed(column.rest, this.#tables[side].name, this.#renames[side]);
    };
    // A column that one side renamed and the other dropped was changed, too.
    const wasRenamed =
      three.base !== undefined &&
      (three.ours === undefined) !== (three.theirs === undefined) &&
      !equalNames(three.base.name, name);
    const rests = { base: restOf('base'), ours: restOf('ours'), theirs: restOf('theirs') };
    const merged = wasRenamed ? undefined : mergeWhole(rests, sameText);
    if (merged === undefined)
      this.#conflict('column', three.base?.name ?? name, describeConflict(three), {
        base: three.base?.text,
        ours: three.ours?.text,
        theirs: three.theirs?.text,
      });
    const rest = merged === undefined ? rests.ours : merged.value;
    const column = three.ours ?? three.theirs;
    return rest === undefined || column === undefined ? undefined : namedColumn(column, name, rest);
  }

  #constraints(): ConstraintDefinition[] {
    const [base, ours, theirs] = SIDES.map((side) => {
      const { constraints, name } = this.#tables[side];
      const renames: Renames = this.#renames[side];
      return constraints.map((constraint) => ({
        ...constraint,
        text: renamed(constraint.text, name, renames),
      }));
    }) as [ConstraintDefinition[], ConstraintDefinition[], ConstraintDefinition[]];
    return alignConstraints(base, ours, theirs, this.#tables.base.name).flatMap((three) => {
      const merged = mergeWhole(three, (a, b) => sameText(a?.text, b?.text));
      if (merged !== undefined) return merged.value ?? [];
      const one = (three.ours ?? three.theirs) as ConstraintDefinition;
      this.#conflict('constraint', one.name ?? one.kind, describeConflict(three), {
        base: three.base?.text,
        ours: three.ours?.text,
        theirs: three.theirs?.text,
      });
      return three.ours ?? [];
    });
  }

  /** Two columns that the sides gave one name. */
  #refuseTwins(columns: readonly ColumnDefinition[]): void {
    columns.forEach((column, i) => {
      const twin = columns.slice(0, i).find(({ name }) => equalNames(name, column.name));
      if (twin !== undefined)
        this.#conflict('column', column.name, 'the two sides gave this name to different columns', {
          base: undefined,
          ours: twin.text,
          theirs: column.text,
        });
    });
  }

  /** What one side says of a column that the other side dropped. */
  #refuseDangling(columns: readonly ColumnDefinition[], constraints: readonly ConstraintDefinition[]): void {
    const left = new Set(columns.map(({ name }) => lowerName(name)));
    const gone = this.#columns.filter(
      ({ base }) =>
        base !== undefined &&
        !left.has(lowerName(base.name)) &&
        !this.#renames.base.has(lowerName(base.name)),
    );
    const refuse = (what: 'column' | 'constraint', name: string, text: string): void => {
      const mentioned = columnsIn(text, this.#tables.ours.name);
      const dropped = gone.find(
        (three) => mentioned.has(lowerName(three.base?.name ?? '')) && !this.#holdsWithout(three, text),
      )?.base?.name;
      if (dropped === undefined) return;
      this.#conflict(what, name, `it names the column ${JSON.stringify(dropped)}, which one side dropped`, {
        base: undefined,
        ours: text,
        theirs: undefined,
      });
    };
    for (const { name, rest } of columns) refuse('column', name, rest);
    for (const { name, kind, text } of constraints) refuse('constraint', name ?? kind, text);
  }

  /** Whether a side that has not got the column says `text` all the same, and so does not mean the column by it. */
  #holdsWithout(three: Three<ColumnDefinition>, text: string): boolean {
    return (['ours', 'theirs'] as const).some((side) => {
      if (three[side] !== undefined) return false;
      const { columns, constraints, name } = this.#tables[side];
      const texts = [...columns.map(({ rest }) => rest), ...constraints.map(({ text }) => text)];
      return texts.some((own) => sameText(renamed(own, name, this.#renames[side]), text));
    });
  }

  #conflict(
    what: SchemaConflict['what'],
    name: string,
    description: string,
    sides: Pick<SchemaConflict, Side>,
  ): void {
    this.#conflicts.push({ what, name, description, ...sides });
  }
}

function equalNames(a: string | undefined, b: string | undefined): boolean {
  return a === undefined || b === undefined ? a === b : lowerName(a) === lowerName(b);
}
