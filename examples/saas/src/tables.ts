/** The tables that hold what the tenant wrote, parents before children. Others in the storage are not for clients. */
export const TABLES: readonly string[] = ['users', 'projects', 'tasks'];
