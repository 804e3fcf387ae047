import * as v from 'valibot';
import { id, name, point, queryInteger, text } from '@dotdo/example-shared/input';
import { TABLES } from './tables.ts';

// Every shape that the app takes from outside.

const description = v.nullable(v.pipe(text, v.maxLength(10_000, 'give at most 10000 characters')));
const email = v.pipe(
  text,
  v.trim(),
  v.toLowerCase(),
  v.email('give an e-mail address'),
  v.maxLength(254, 'give at most 254 characters'),
);
const role = v.picklist(['owner', 'admin', 'member'], 'give owner, admin or member');
const projectStatus = v.picklist(['active', 'archived', 'deleted'], 'give active, archived or deleted');
const taskStatus = v.picklist(
  ['todo', 'in_progress', 'review', 'done'],
  'give todo, in_progress, review or done',
);
const priority = v.pipe(
  v.number('give a whole number from 0 to 100'),
  v.integer('give a whole number from 0 to 100'),
  v.minValue(0, 'give a whole number from 0 to 100'),
  v.maxValue(100, 'give a whole number from 0 to 100'),
);
const dueDate = v.nullable(v.pipe(text, v.check(isDate, 'give a date such as 2026-11-30')));
const label = v.nullable(
  v.pipe(
    text,
    v.trim(),
    v.minLength(1, 'give at least 1 character'),
    v.maxLength(30, 'give at most 30 characters'),
  ),
);
/** Top-level domains that name hosts of a network of its own. */
const PRIVATE_DOMAINS: ReadonlySet<string> = new Set([
  'arpa',
  'corp',
  'home',
  'internal',
  'lan',
  'local',
  'localhost',
]);
const tenantName = v.pipe(
  v.string('give text'),
  v.regex(/^[a-z][a-z0-9-]{1,62}$/, 'give 2 to 63 of a-z, 0-9 and -, a letter first'),
  v.check((name) => name !== 'www' && name !== 'api', 'this name is reserved'),
);

const owner = v.strictObject({ email, name });
/** Who signs a tenant up. */
export type Owner = v.InferOutput<typeof owner>;

/** `POST /signup` */
export const SignUp = v.strictObject({ tenant: tenantName, owner });

/** `POST /users` */
export const NewUser = v.strictObject({ email, name, role: v.optional(role, 'member') });

/** `POST /projects` */
export const NewProject = v.strictObject({
  name,
  description: v.optional(description, null),
  owner_id: id,
});

/** `POST /tasks` */
export const NewTask = v.strictObject({
  project_id: id,
  title: name,
  description: v.optional(description, null),
  assignee_id: v.optional(v.nullable(id), null),
  status: v.optional(taskStatus, 'todo'),
  priority: v.optional(priority, 0),
  due_date: v.optional(dueDate, null),
  label: v.optional(label, null),
});

/** `PATCH /tasks/:id`: what is not given stays as it is. */
export const TaskPatch = v.strictObject({
  project_id: v.optional(id),
  title: v.optional(name),
  description: v.optional(description),
  assignee_id: v.optional(v.nullable(id)),
  status: v.optional(taskStatus),
  priority: v.optional(priority),
  due_date: v.optional(dueDate),
  label: v.optional(label),
});

/** `PATCH /tasks` */
export const TaskPatchWithId = v.strictObject({ id, ...TaskPatch.entries });

const branchName = v.pipe(
  text,
  v.trim(),
  v.regex(
    /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} ._/-]*[\p{L}\p{M}\p{N}])?$/u,
    'give letters and digits, and in between spaces and . _ - /',
  ),
  v.maxLength(100, 'give at most 100 characters'),
  v.check((name) => name.toLowerCase() !== 'main', 'this name is reserved'),
);

/** `POST /branches` */
export const NewBranch = v.strictObject({ name: branchName });

/** `POST /branches/:name/bulk` */
export const BulkEdit = v.strictObject({
  where: v.strictObject({
    project_id: v.optional(id),
    status: v.optional(taskStatus),
    assignee_id: v.optional(v.nullable(id)),
    label: v.optional(label),
  }),
  set: v.pipe(
    v.strictObject({
      status: v.optional(taskStatus),
      assignee_id: v.optional(v.nullable(id)),
      priority: v.optional(priority),
      due_date: v.optional(dueDate),
      label: v.optional(label),
    }),
    v.check((set) => Object.keys(set).length > 0, 'give at least one field'),
  ),
});

/** `POST /branches/:name/merge` */
export const Merge = v.strictObject({ dryRun: v.optional(v.boolean('give true or false'), false) });

const side = v.picklist(['ours', 'theirs'], 'give ours or theirs');

/** `POST /branches/:name/conflicts/resolve`: a side, or the values of the cells in question. */
export const Resolution = v.strictObject({
  table: v.picklist(TABLES, `give ${TABLES.join(', ')}`),
  key: v.strictObject({ id }),
  take: v.union([side, TaskPatch], 'give ours, theirs, or fields of a task'),
});

const asOf = { as_of: v.optional(point) };

/** What a path that takes a branch takes besides. */
export const BranchQuery = v.strictObject({ branch: v.optional(v.string()) });
/** The query of a path that takes only a point of the past. */
export const PointQuery = v.strictObject(asOf);
/** `GET /projects` */
export const ProjectQuery = v.strictObject({ ...asOf, status: v.optional(projectStatus, 'active') });
/** `GET /tasks` */
export const TaskQuery = v.strictObject({
  ...asOf,
  project_id: v.optional(queryInteger),
  status: v.optional(taskStatus),
  assignee_id: v.optional(queryInteger),
});
/** `GET /activity` */
export const ActivityQuery = v.strictObject({
  after: v.optional(queryInteger),
  limit: v.optional(v.pipe(queryInteger, v.minValue(1), v.maxValue(1000, 'give at most 1000')), '100'),
});

/** `POST /restore` */
export const Restore = v.strictObject({ to: point });
/** `POST /restore/undo`: the LSN that restoring was answered with. */
export const UndoRestore = v.strictObject({ lsn: id });

/** `GET /operator/tenants` */
export const TenantsQuery = v.strictObject({
  after: v.optional(v.pipe(text, v.maxLength(63, 'give a name')), ''),
  limit: v.optional(v.pipe(queryInteger, v.minValue(1), v.maxValue(1000, 'give at most 1000')), '100'),
});
/** `POST /operator/tenants/:tenant/restore` */
export const RestoreTenant = v.strictObject({ from: tenantName, at: v.optional(point) });
/** `POST /operator/query` */
export const FleetQuery = v.strictObject({
  sql: v.pipe(text, v.minLength(1, 'give a SELECT'), v.maxLength(10_000, 'give at most 10000 characters')),
  params: v.optional(
    v.pipe(
      v.array(v.nullable(v.union([text, v.number()], 'give text, a number or null')), 'give an array'),
      v.maxLength(100, 'give at most 100'),
    ),
    [],
  ),
  as_of: v.optional(point),
});

const webhookSecret = v.pipe(
  v.string('give text'),
  v.regex(
    /^whsec_(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
    'give whsec_ and base64 of 24 to 64 random bytes',
  ),
);
const url = v.pipe(text, v.maxLength(2_000, 'give at most 2000 characters'));

/** `PUT /webhook` */
export const Webhook = v.strictObject({
  url: v.pipe(url, v.check(isPublicUrl, 'give an https:// address of a host on the internet, by its name')),
  secret: webhookSecret,
});
/** Where a tenant's changes are posted, and the secret that signs them. */
export type Webhook = v.InferOutput<typeof Webhook>;

/** The same, where the app runs on a developer's machine. */
export const LocalWebhook = v.strictObject({
  url: v.pipe(
    url,
    v.check(
      (text) => isPublicUrl(text) || isLocalUrl(text),
      'give an https:// address of a host on the internet, by its name, or an http:// address of this machine',
    ),
  ),
  secret: webhookSecret,
});

/** Whether a tenant could have this name. */
export function isTenantName(name: string): boolean {
  return v.is(tenantName, name);
}

function isDate(text: string): boolean {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // Date.parse takes the 30th of February for the 1st of March.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

/**
 * Whether the app may be made to send requests there: to a name on the internet, not to an address, nor to a name
 * that only a network of its own knows. What the name resolves to is not looked at: Workers reach the internet only.
 */
function isPublicUrl(text: string): boolean {
  const { protocol, hostname, username, password } = URL.canParse(text) ? new URL(text) : {};
  if (protocol !== 'https:' || hostname === undefined || username !== '' || password !== '') return false;
  // A URL writes every form of an IPv4 address with four numbers, and of an IPv6 address with brackets.
  const labels = hostname.replace(/\.$/, '').split('.');
  const last = labels.at(-1) ?? '';
  return labels.length > 1 && /^[a-z]/.test(last) && !PRIVATE_DOMAINS.has(last);
}

function isLocalUrl(text: string): boolean {
  const { protocol, hostname = '' } = URL.canParse(text) ? new URL(text) : {};
  return protocol === 'http:' && ['localhost', '127.0.0.1'].includes(hostname);
}
