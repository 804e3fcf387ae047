import { id, name, point, queryInteger, text } from '@dotdo/example-shared/input';
import * as v from 'valibot';
import { MAIN } from './line.ts';
import { blockId } from './messages.ts';

const workspaceName = v.pipe(
  v.string('give text'),
  v.regex(/^[a-z][a-z0-9-]{1,62}$/, 'give 2 to 63 of a-z, 0-9 and -, a letter first'),
);
const role = v.picklist(['viewer', 'editor', 'admin'], 'give viewer, editor or admin');
const key = v.pipe(text, v.minLength(1, 'give an id'), v.maxLength(100, 'give at most 100 characters'));
const title = v.pipe(text, v.maxLength(200, 'give at most 200 characters'));
const branchName = v.pipe(
  text,
  v.trim(),
  v.regex(
    /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} ._/-]*[\p{L}\p{M}\p{N}])?$/u,
    'give letters and digits, and in between spaces and . _ - /',
  ),
  v.maxLength(100, 'give at most 100 characters'),
);
const limit = (most: number, usual: string): v.GenericSchema<string | undefined, number> =>
  v.optional(
    v.pipe(queryInteger, v.minValue(1, 'give at least 1'), v.maxValue(most, `give at most ${most}`)),
    usual,
  );
/** A branch that a query names; main where it names none. */
const branch = v.optional(v.union([v.literal(MAIN), branchName]), MAIN);

/** `POST /workspaces` */
export const NewWorkspace = v.strictObject({ workspace: workspaceName, name });
/** `POST /w/:workspace/users` */
export const NewUser = v.strictObject({ name });
/** `POST /w/:workspace/documents` */
export const NewDocument = v.strictObject({ title });
/** `GET /w/:workspace/search` */
export const SearchQuery = v.strictObject({
  q: v.pipe(text, v.trim(), v.minLength(1, 'give a word'), v.maxLength(200, 'give at most 200 characters')),
  limit: limit(50, '20'),
});

/** `PATCH /`: the title. */
export const TitleChange = v.strictObject({ title });
/** `GET /live` */
export const LiveQuery = v.strictObject({
  client: blockId,
  since: v.optional(queryInteger, '0'),
  branch,
});
/** `GET /blocks` */
export const BlocksQuery = v.strictObject({ as_of: v.optional(point), branch });
/** `GET /blocks/:id/history` */
export const BranchQuery = v.strictObject({ branch });
/** `GET /history` */
export const HistoryQuery = v.strictObject({
  branch,
  before: v.optional(queryInteger),
  limit: limit(500, '100'),
});
/** `POST /restore`: to a point, which an LSN or a time names. */
export const Restore = v.strictObject({
  to: v.union(
    [point, v.pipe(v.strictObject({ lsn: v.pipe(id, v.minValue(0)) }))],
    'give { "lsn": … }, "lsn:…" or a time in ISO-8601',
  ),
  branch,
});

/** `POST /members` */
export const NewMember = v.strictObject({ user: key, role });
/** `PATCH /members/:id` */
export const RoleChange = v.strictObject({ role });
/** `POST /links`: for up to a year. */
export const NewLink = v.strictObject({
  role: v.picklist(['viewer', 'editor'], 'give viewer or editor'),
  hours: v.pipe(
    v.number('give a number of hours'),
    v.minValue(0.0001, 'give more than 0'),
    v.maxValue(8_784, 'give at most 8784'),
  ),
});
/** `POST /join` */
export const Joining = v.strictObject({ name });

/** `POST /branches` */
export const NewBranch = v.strictObject({
  name: v.pipe(
    branchName,
    v.check((name) => name.toLowerCase() !== MAIN, 'this name is reserved'),
  ),
});
/** `POST /branches/:name/merge`: what to take where the two cannot go together. */
export const Merge = v.strictObject({
  take: v.optional(v.picklist(['ours', 'theirs'], 'give ours or theirs')),
  dryRun: v.optional(v.boolean('give true or false'), false),
});

/** `POST /versions` */
export const NewVersion = v.strictObject({ name });

/** Whether a workspace could have this name. */
export function isWorkspaceName(name: string): boolean {
  return v.is(workspaceName, name);
}
